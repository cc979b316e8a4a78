# Headers that most sources include, precompiled once for all rooms and once for all tests: reading
# them anew takes a third of a source's compile time. No source may rely on them; tools/tidy reads
# what ships without.
set(MULTINET_HEADERS algorithm chrono filesystem functional map memory mutex optional ranges set
  string thread variant vector fmt/format.h nlohmann/json.hpp simdjson.h)

# A precompiled header is of use only where the same macros are defined.
target_compile_definitions(multinet_compiler INTERFACE FMT_SHARED SIMDJSON_THREADS_ENABLED=1)
target_compile_options(multinet_compiler INTERFACE -pthread)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache keeps what uses a precompiled header only with this.
  target_compile_options(multinet_compiler INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
else()
  # With times in it, no precompiled header is like another, and ccache has nothing of what uses it.
  target_compile_options(multinet_compiler INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()

# Tests are compiled once and run once: optimizing them fully takes a quarter more of their build.
function(multinet_test_speed target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

function(multinet_precompile target)
  set(source "${PROJECT_BINARY_DIR}/${target}.cc")
  file(CONFIGURE OUTPUT "${source}" CONTENT "")
  add_library(${target} OBJECT "${source}")
  target_link_libraries(${target} PRIVATE multinet_compiler)
  list(TRANSFORM ARGN REPLACE "(.+)" "<\\1>")
  target_precompile_headers(${target} PRIVATE ${ARGN})
endfunction()

multinet_precompile(room_headers ${MULTINET_HEADERS})
multinet_precompile(test_headers ${MULTINET_HEADERS} gtest/gtest.h gmock/gmock.h)
target_link_libraries(test_headers PRIVATE GTest::gmock)
multinet_test_speed(test_headers)
if(MULTINET_FUZZ)
  # Of rooms whose coverage a fuzzer sees.
  multinet_precompile(covered_headers ${MULTINET_HEADERS})
  target_compile_options(covered_headers PRIVATE -fsanitize=fuzzer-no-link)
endif()
