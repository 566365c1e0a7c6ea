# Compiler switches. Presets (CMakePresets.json) choose among them.
set(WEIR_SANITIZE "" CACHE STRING "address (with undefined behaviour), thread, or nothing")
option(WEIR_WERROR "Warnings are errors" ON)
option(WEIR_HARDEN "Hardening for release builds" OFF)
option(WEIR_FUZZ "Build the fuzzers (clang only)" OFF)
option(WEIR_COVERAGE "Measure coverage" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_compile_options(
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Woverloaded-virtual -Wold-style-cast -Wcast-qual -Wcast-align -Wformat=2 -Wundef)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports -Wrestrict falsely on std::string::insert.
  add_compile_options(-Wduplicated-cond -Wlogical-op -Wno-restrict)
else()
  add_compile_options(-Wthread-safety)
endif()
if(WEIR_WERROR)
  add_compile_options(-Werror)
endif()

add_compile_definitions(
  BOOST_ASIO_DISABLE_CO_AWAIT BOOST_ASIO_NO_DEPRECATED JSON_USE_IMPLICIT_CONVERSIONS=0
  WEIR_VERSION="${PROJECT_VERSION}")

if(WEIR_SANITIZE STREQUAL "address")
  # vptr asks the kernel through a pipe, which cannot work where a test uses up all descriptors.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(WEIR_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)
  endif()
elseif(NOT WEIR_SANITIZE STREQUAL "")
  message(FATAL_ERROR "WEIR_SANITIZE is '${WEIR_SANITIZE}'; use address, thread or nothing")
endif()

if(NOT WEIR_SANITIZE STREQUAL "")
  # For tests that measure memory or count allocations: a sanitizer brings its own allocator.
  add_compile_definitions(WEIR_SANITIZED)
endif()

if(WEIR_FUZZ)
  # Coverage for libFuzzer in every folder; the fuzzers themselves add its main().
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

if(WEIR_HARDEN)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
                      -fstack-protector-strong -fstack-clash-protection)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
  set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
endif()

if(WEIR_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
