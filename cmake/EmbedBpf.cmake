# Writes OBJECT's bytes as C++: OUTPUT.cc defines NAME, OUTPUT.h declares it. See Bpf.cmake.
file(READ "${OBJECT}" bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
set(declared "namespace multinet::bpf::objects {\nextern const std::span<const unsigned char> ${NAME};\n}\n")
file(WRITE "${OUTPUT}.h" "#pragma once\n#include <span>\n${declared}")
file(WRITE "${OUTPUT}.cc" "#include <span>\n${declared}
namespace {
alignas(8) constexpr unsigned char kBytes[] = {${bytes}};
}
const std::span<const unsigned char> multinet::bpf::objects::${NAME}{kBytes};
")
