# Cross compilation for Debian's armhf. The libraries are those of scripts/sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)

get_filename_component(WEIR_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/sysroot/armhf ABSOLUTE)
set(CMAKE_SYSROOT ${WEIR_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${WEIR_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm-static;-L;${WEIR_SYSROOT})

# Files beyond 2 GiB, and times beyond 2038, on a processor of 32 bits.
add_compile_definitions(_FILE_OFFSET_BITS=64 _TIME_BITS=64)
# g++ mentions with every std::vector<double> and the like that g++ 6 passed them otherwise.
add_compile_options(-Wno-psabi)
