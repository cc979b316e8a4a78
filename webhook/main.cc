// multinet-webhook: judges networks, attachments and the requests of pods; see wiring.cc.
#include <CLI/CLI.hpp>

#include "lib/program/program.h"
#include "webhook/wiring.h"

int main(int argc, char** argv) {
  namespace program = multinet::program;
  multinet::webhook::Settings settings;
  CLI::App app("Multinet's admission webhook", "multinet-webhook");
  app.add_option("--listen", settings.listen, "Address of the HTTPS port")->capture_default_str();
  app.add_option("--cert-dir", settings.certificateDirectory, "Directory of tls.crt and tls.key")
      ->capture_default_str();
  app.add_option("--client-ca", settings.clientCa,
                 "File of CAs, one of which must have signed the API server's client certificate")
      ->type_name("FILE");
  app.add_option("--health-listen", settings.healthListen, "Address of /healthz, /readyz, /metrics")
      ->capture_default_str();
  app.add_option("--kubeconfig", settings.kubeconfig, "Absent: as kubectl finds the cluster");
  program::begin(app, argc, argv);
  auto webhook = multinet::webhook::Webhook::start(settings);
  if (!webhook) program::cantStart(webhook.error());
  program::awaitStop();
  (*webhook)->stop();
  program::leave(0);
}
