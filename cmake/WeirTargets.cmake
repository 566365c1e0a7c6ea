include(GoogleTest)

# What people ask for now and then: in releases small rather than fast. The rest handles messages.
set(WEIR_SMALL_FOLDERS admin cli doctor greengrass)

# One static library per folder of src/, and one test program from its *_test.cc files. ONE_THREAD:
# none of them starts a thread.
function(weir_folder name)
  cmake_parse_arguments(ARG "ONE_THREAD" "" "FOLDERS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  set(folders ${ARG_FOLDERS})
  list(TRANSFORM folders PREPEND weir_)
  if(sources)
    add_library(weir_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(weir_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  if(WEIR_HARDEN AND name IN_LIST WEIR_SMALL_FOLDERS)
    target_compile_options(weir_${name} PRIVATE -Os)
  endif()
  target_include_directories(weir_${name} ${scope} ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(weir_${name} ${scope} ${folders} ${ARG_LIBRARIES})

  # Where nothing is shared between threads, the thread sanitizer has nothing to see.
  if(ARG_ONE_THREAD AND WEIR_SANITIZE STREQUAL "thread")
    return()
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE weir_${name} GTest::gmock GTest::gtest_main)
    # Optimising the tests themselves takes most of a build's time and gains nothing; the models in
    # them run thousands of seeds, though.
    if(WEIR_SANITIZE STREQUAL "")
      target_compile_options(${name}_test PRIVATE -O1 -g0)
    else()
      target_compile_options(${name}_test PRIVATE -O0)
    endif()
    # Where golden files and documents are, for tests that compare with them.
    target_compile_definitions(${name}_test PRIVATE WEIR_SOURCE_ROOT="${CMAKE_SOURCE_DIR}")
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST
                         PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
