# Warnings, hardening and sanitizers, as one interface target that every room links.
option(MULTINET_WERROR "Warnings are errors" OFF)
option(MULTINET_FUZZ "Build the libFuzzer targets (clang only)" OFF)
set(MULTINET_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")

add_library(multinet_compiler INTERFACE)
target_include_directories(multinet_compiler INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")
target_compile_options(multinet_compiler INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -fstack-protector-strong -fvisibility=hidden $<$<BOOL:${MULTINET_WERROR}>:-Werror>)
# cpprest's U() macro leaks into every header after it; Boost 1.74 reads removed std names in C++20.
target_compile_definitions(multinet_compiler INTERFACE
  _TURN_OFF_PLATFORM_STRING _GLIBCXX_ASSERTIONS
  $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside its own library at -O2 (GCC bugs 105329, 105562).
  target_compile_options(multinet_compiler INTERFACE
    $<$<CONFIG:Release>:-Wno-restrict> $<$<CONFIG:Release>:-Wno-maybe-uninitialized>
    $<$<CONFIG:Release>:-Wno-array-bounds> $<$<CONFIG:Release>:-Wno-stringop-overflow>
    $<$<CONFIG:Release>:-Wno-stringop-overread>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's stable_sort uses a deprecated function of its own, which clang reports at our call.
  target_compile_options(multinet_compiler INTERFACE -Wno-deprecated-declarations)
endif()
if(MULTINET_SANITIZE)
  target_compile_options(multinet_compiler INTERFACE
    -fsanitize=${MULTINET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(multinet_compiler INTERFACE -fsanitize=${MULTINET_SANITIZE})
  # vptr needs RTTI of libraries that ship none (gRPC is built without).
  if(MULTINET_SANITIZE MATCHES "undefined")
    target_compile_options(multinet_compiler INTERFACE -fno-sanitize=vptr)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-O0 -g1)
else()
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
endif()
