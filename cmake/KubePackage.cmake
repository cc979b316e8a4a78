# lib/kube for projects outside: the client and the three rooms that it stands on, their headers, and
# a package file for find_package(MultinetKube). Only what asks for the component installs it:
#   cmake --install build/release --prefix PREFIX --component MultinetKube
include(CMakePackageConfigHelpers)

set(kube_rooms base async k8s kube)
set(kube_cmake lib/cmake/MultinetKube)
# What the transport is made of; no public header needs it.
set(kube_own)
foreach(header identity exec_credential kept_connections lines retry_after)
  list(APPEND kube_own PATTERN "lib/kube/${header}.h" EXCLUDE)
endforeach()

foreach(room IN LISTS kube_rooms)
  set_target_properties(lib_${room} PROPERTIES
    EXPORT_NAME ${room} OUTPUT_NAME multinet_${room})
  target_include_directories(lib_${room} INTERFACE $<INSTALL_INTERFACE:include/multinet>)
  target_compile_features(lib_${room} PUBLIC cxx_std_20)
  install(TARGETS lib_${room} EXPORT MultinetKube
    ARCHIVE DESTINATION lib COMPONENT MultinetKube EXCLUDE_FROM_ALL)
  install(DIRECTORY lib/${room} DESTINATION include/multinet/lib
    COMPONENT MultinetKube EXCLUDE_FROM_ALL
    FILES_MATCHING PATTERN "*.h" PATTERN "fake_*" EXCLUDE
    PATTERN corpus EXCLUDE PATTERN examples EXCLUDE ${kube_own})
endforeach()

install(EXPORT MultinetKube NAMESPACE Multinet:: FILE MultinetKubeTargets.cmake
  DESTINATION ${kube_cmake} COMPONENT MultinetKube EXCLUDE_FROM_ALL)
configure_package_config_file(cmake/MultinetKubeConfig.cmake.in
  "${PROJECT_BINARY_DIR}/MultinetKubeConfig.cmake" INSTALL_DESTINATION ${kube_cmake})
# Before 1.0 each minor version may change what is public.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/MultinetKubeConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/MultinetKubeConfig.cmake"
  "${PROJECT_BINARY_DIR}/MultinetKubeConfigVersion.cmake"
  DESTINATION ${kube_cmake} COMPONENT MultinetKube EXCLUDE_FROM_ALL)
