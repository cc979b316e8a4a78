# cmake -DTREE= -DPROJECT= -DWORK= -DCOMPILER= -P build.cmake
file(REMOVE_RECURSE "${WORK}") # what an older version installed must not be found
find_program(ccache ccache REQUIRED)
set(ENV{CCACHE_BASEDIR} "${WORK}") # trees share what they compile
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_COMMAND}"
  --install "${TREE}" --prefix "${WORK}/prefix" --component MultinetKube)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_COMMAND}"
  -S "${PROJECT}" -B "${WORK}/build" -G Ninja "-DCMAKE_PREFIX_PATH=${WORK}/prefix"
  "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${ccache}"
  -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND "${CMAKE_COMMAND}" --build "${WORK}/build" -j2)
