# One helper makes a room: a library of a directory's sources and the test binaries beside them.
#
#   multinet_room(lib/kube DEPS lib/base lib/tls LINK cpprestsdk::cpprest)
#
# The target of lib/kube is `lib_kube`. Sources are the directory's own *.cc, except
#   *_test.cc        one binary `lib_kube_test`, label unit
#   *_netns_test.cc  one binary, label netns: runs in user, network and mount namespaces of its own
#   *_fault_test.cc  one binary, label fault
#   *_vm_test.cc     one binary, label vm: runs as root on another kernel, in a virtual machine
#   *_fuzz.cc        one libFuzzer binary each (presets asan and fuzz), label fuzz
#   *_bench.cc       left to bench/
#   main.cc          left to multinet_program()
# TEST_DEPS names rooms that only the tests use; TEST_SOURCES adds files to all of the test binaries.
# FUZZ_SOURCES and FUZZ_DEPS are all that the fuzzers need, where the room stands on many others.
include(GoogleTest)

# `cmake --build <tree> --target unit_tests` builds what one label runs, and no more. The label project
# is of tests that no room has: tools, structure, the package.
# `sanitized` are unit and fault tests of who handles bytes, memory and threads for the others: lib/.
foreach(label unit netns fault fuzz vm project sanitized)
  add_custom_target(${label}_tests)
endforeach()

function(multinet_target_of path variable)
  string(REPLACE "/" "_" target "${path}")
  string(REPLACE "-" "_" target "${target}")
  set(${variable} "${target}" PARENT_SCOPE)
endfunction()

function(multinet_room path)
  cmake_parse_arguments(arg "" "" "DEPS;LINK;TEST_DEPS;TEST_LINK;TEST_SOURCES;FUZZ_SOURCES;FUZZ_DEPS" ${ARGN})
  multinet_target_of("${path}" target)
  set(directory "${PROJECT_SOURCE_DIR}/${path}")
  file(GLOB sources CONFIGURE_DEPENDS "${directory}/*.cc")
  set(library ${sources})
  list(FILTER library EXCLUDE REGEX "(_test|_fuzz|_bench)\\.cc$|/main\\.cc$")
  if(library)
    add_library(${target} STATIC ${library})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  # Warnings and hardening are this tree's own; who has an installed room has its own flags.
  target_link_libraries(${target} ${scope} $<BUILD_INTERFACE:multinet_compiler> ${arg_LINK})
  foreach(dependency IN LISTS arg_DEPS)
    multinet_target_of("${dependency}" dependency_target)
    target_link_libraries(${target} ${scope} ${dependency_target})
  endforeach()

  foreach(kind unit netns fault vm)
    set(tests ${sources})
    if(kind STREQUAL "unit")
      list(FILTER tests INCLUDE REGEX "_test\\.cc$")
      list(FILTER tests EXCLUDE REGEX "_(netns|fault|vm)_test\\.cc$")
      set(binary ${target}_test)
    else()
      list(FILTER tests INCLUDE REGEX "_${kind}_test\\.cc$")
      set(binary ${target}_${kind}_test)
    endif()
    if(tests)
      add_executable(${binary} ${tests} ${arg_TEST_SOURCES})
      multinet_test(${binary} ${kind} ${target} "${arg_TEST_DEPS}" "${arg_TEST_LINK}")
      if(kind MATCHES "unit|fault" AND path MATCHES "^lib/")
        add_dependencies(sanitized_tests ${binary})
      endif()
    endif()
  endforeach()

  set(headers room_headers)
  if(MULTINET_FUZZ)
    set(fuzzers ${sources})
    list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
    if(fuzzers AND NOT arg_FUZZ_SOURCES)
      # Coverage of the room itself; without it a fuzzer sees only its own file.
      target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
      set(headers covered_headers)
    endif()
    foreach(fuzzer IN LISTS fuzzers)
      multinet_fuzzer("${fuzzer}" ${target} "${directory}" "${arg_FUZZ_SOURCES}" "${arg_FUZZ_DEPS}")
    endforeach()
  endif()
  if(library)
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endfunction()

# A test binary of one label. Tests of the label netns get namespaces of their own, without root.
function(multinet_test binary kind target deps link)
  target_link_libraries(${binary} PRIVATE ${target} ${link} GTest::gmock GTest::gtest_main)
  foreach(dependency IN LISTS deps)
    multinet_target_of("${dependency}" dependency_target)
    target_link_libraries(${binary} PRIVATE ${dependency_target})
  endforeach()
  multinet_test_speed(${binary})
  target_precompile_headers(${binary} REUSE_FROM test_headers)
  set_property(TARGET ${kind}_tests APPEND PROPERTY MULTINET_PROGRAMS "$<TARGET_FILE:${binary}>")
  add_dependencies(${kind}_tests ${binary})
  if(kind STREQUAL "vm")
    multinet_vm_test(${binary} "$<TARGET_FILE:${binary}>")
    return()
  endif()
  set(timeout 60)
  if(kind STREQUAL "netns")
    set_target_properties(${binary} PROPERTIES CROSSCOMPILING_EMULATOR
      "unshare;--user;--map-root-user;--net;--mount;--")
  elseif(kind STREQUAL "fault")
    set(timeout 240)
  elseif(MULTINET_SANITIZE)
    set(timeout 180) # Histories of many steps take some ten times as long.
  endif()
  gtest_discover_tests(${binary} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    TEST_PREFIX "${binary}." PROPERTIES LABELS ${kind} TIMEOUT ${timeout})
endfunction()

# multinet_vm_test(NAME PROGRAMS...): test binaries that share a virtual machine; tools/vm counts the
# tests in them. Modules load by themselves, as on a node; those of links and nftables are there.
function(multinet_vm_test name)
  if(MULTINET_SANITIZE)
    return() # The sanitizers' trees run what needs no kernel of its own.
  endif()
  add_test(NAME vm.${name} COMMAND "${PROJECT_SOURCE_DIR}/tools/vm" run ${ARGN} COMMAND_EXPAND_LISTS)
  set_tests_properties(vm.${name} PROPERTIES LABELS vm TIMEOUT 620 SKIP_RETURN_CODE 77
    ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
endfunction()

# A libFuzzer binary; `ctest -L fuzz` runs it for a bounded time over its kept corpus.
function(multinet_fuzzer source target directory sources deps)
  get_filename_component(stem "${source}" NAME_WE)
  set(binary ${target}_${stem})
  add_executable(${binary} "${source}" ${sources})
  if(sources)
    target_link_libraries(${binary} PRIVATE multinet_compiler)
  else()
    target_link_libraries(${binary} PRIVATE ${target})
  endif()
  foreach(dependency IN LISTS deps)
    multinet_target_of("${dependency}" dependency_target)
    target_link_libraries(${binary} PRIVATE ${dependency_target})
  endforeach()
  target_compile_options(${binary} PRIVATE -fsanitize=fuzzer)
  target_link_options(${binary} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_tests ${binary})
  set(work "${PROJECT_BINARY_DIR}/corpus/${binary}")
  file(MAKE_DIRECTORY "${work}")
  set(seeds "")
  if(IS_DIRECTORY "${directory}/corpus/${stem}")
    set(seeds "${directory}/corpus/${stem}")
  endif()
  add_test(NAME fuzz.${binary} COMMAND ${binary} -max_total_time=10 -timeout=5 "${work}" ${seeds})
  set_tests_properties(fuzz.${binary} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()

# multinet_program(NAME SOURCE DEPS rooms...): a binary in <build>/bin.
function(multinet_program name source)
  cmake_parse_arguments(arg "" "" "DEPS;LINK" ${ARGN})
  add_executable(${name} "${source}")
  target_precompile_headers(${name} REUSE_FROM room_headers)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  target_link_libraries(${name} PRIVATE multinet_compiler ${arg_LINK})
  foreach(dependency IN LISTS arg_DEPS)
    multinet_target_of("${dependency}" dependency_target)
    target_link_libraries(${name} PRIVATE ${dependency_target})
  endforeach()
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
