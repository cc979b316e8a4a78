// kubectl-multinet; see verb.h for what it can be asked for.
#include <unistd.h>

#include <iostream>
#include <thread>

#include "cli/program.h"
#include "lib/base/log.h"
#include "lib/kube/transport.h"

int main(int argc, char** argv) {
  using namespace multinet;
  // Warnings of the client's own retries stay out of a person's table.
  log::init(log::Format::Text, log::Level::Error);
  kube::boundTransportThreads(1);
  const SystemClock clock;
  const int code = cli::run({argv + std::min(argc, 1), argv + argc},
                            {std::cout, std::cerr, cli::colourOf(STDOUT_FILENO)}, clock,
                            [](Duration time) { std::this_thread::sleep_for(time); });
  std::cout.flush();
  log::flush();
  _exit(code);  // the HTTP library's threads outlive static objects
}
