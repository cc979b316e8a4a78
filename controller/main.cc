// multinet-controller: gives networks their verdicts, reserves VNIs, holds and releases networks,
// collects what nobody owns any more, and keeps the webhook's certificate. One of its replicas
// leads; see wiring.cc.
#include <CLI/CLI.hpp>

#include "controller/wiring.h"
#include "lib/program/program.h"

int main(int argc, char** argv) {
  namespace program = multinet::program;
  multinet::controller::Settings settings;
  CLI::App app{"Multinet's controller", "multinet-controller"};
  app.add_option("--kubeconfig", settings.kubeconfig, "Absent: as kubectl finds the cluster");
  app.add_option("--namespace", settings.nameSpace, "Where its lease and Secrets are")
      ->capture_default_str();
  app.add_option("--health-listen", settings.healthListen, "host:port of health and metrics")
      ->capture_default_str();
  program::begin(app, argc, argv);
  auto controller = multinet::controller::Controller::start(settings);
  if (!controller) program::cantStart(controller.error());
  program::awaitStop();
  controller->reset();  // gives its lease back
  program::leave(0);
}
