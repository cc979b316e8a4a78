# multinet_proto(NAME FILES...): a room of generated protobuf (and, with GRPC, service) code.
# Generated code is compiled without our warnings. Include it as "proto/<path>/<file>.pb.h".
function(multinet_proto name)
  cmake_parse_arguments(arg "GRPC" "" "FILES" ${ARGN})
  set(generated "")
  foreach(file IN LISTS arg_FILES)
    get_filename_component(stem "${file}" NAME_WE)
    get_filename_component(absolute "${file}" ABSOLUTE)
    file(RELATIVE_PATH relative "${PROJECT_SOURCE_DIR}" "${absolute}")
    get_filename_component(directory "${relative}" DIRECTORY)
    set(base "${PROJECT_BINARY_DIR}/${directory}/${stem}")
    set(outputs "${base}.pb.cc" "${base}.pb.h")
    set(plugin "")
    if(arg_GRPC)
      list(APPEND outputs "${base}.grpc.pb.cc" "${base}.grpc.pb.h")
      set(plugin "--grpc_out=${PROJECT_BINARY_DIR}"
          "--plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>")
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc "-I${PROJECT_SOURCE_DIR}" "--cpp_out=${PROJECT_BINARY_DIR}" ${plugin}
              "${relative}"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      DEPENDS "${absolute}" VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${name} STATIC ${generated})
  target_include_directories(${name} SYSTEM PUBLIC "${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  if(MULTINET_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${MULTINET_SANITIZE})
  endif()
  if(arg_GRPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()
