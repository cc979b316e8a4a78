# multinet_bpf(TARGET SOURCE NAME): compiles a C source for the kernel's BPF machine and gives it to
# TARGET as `extern const std::span<const unsigned char> NAME` of multinet::bpf::objects, declared in
# "<directory>/NAME.bpf.h".
find_program(MULTINET_BPF_CLANG NAMES clang-19 clang REQUIRED)

function(multinet_bpf target source name)
  get_filename_component(absolute "${source}" ABSOLUTE)
  file(RELATIVE_PATH relative "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(base "${PROJECT_BINARY_DIR}/${relative}/${name}.bpf")
  # -g: sockets' storage needs the types of keys and values. Without a path of this checkout in it,
  # the same source is the same program wherever it is built.
  add_custom_command(
    OUTPUT "${base}.o"
    COMMAND "${MULTINET_BPF_CLANG}" -target bpf -std=gnu11 -O2 -g -Wall -Wextra -Werror
            -fdebug-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
            -I "${PROJECT_SOURCE_DIR}" -isystem "/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}"
            -MD -MF "${base}.d" -MT "${base}.o" -c "${absolute}" -o "${base}.o"
    DEPENDS "${absolute}" DEPFILE "${base}.d"
    COMMENT "BPF ${relative}/${name}" VERBATIM)
  add_custom_command(
    OUTPUT "${base}.cc" "${base}.h"
    COMMAND "${CMAKE_COMMAND}" -D "OBJECT=${base}.o" -D "OUTPUT=${base}" -D "NAME=${name}"
            -P "${PROJECT_SOURCE_DIR}/cmake/EmbedBpf.cmake"
    DEPENDS "${base}.o" "${PROJECT_SOURCE_DIR}/cmake/EmbedBpf.cmake" VERBATIM)
  target_sources(${target} PRIVATE "${base}.cc" "${base}.h")
endfunction()
