// The program against an API server in this process: what it prints, what becomes of objects.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"
#include "lib/base/fake_clock.h"
#include "test/support/apiserver.h"

namespace multinet::cli {

using nlohmann::json;

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() : file_(::testing::TempDir() + "/kubeconfig-" + std::to_string(::getpid())) {
    std::ofstream(file_) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                            "clusters: [{name: c, cluster: {server: \""
                         << server_.url()
                         << "\"}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: "
                            "shop}}]\nusers: [{name: u, user: {token: t}}]\n";
  }
  ~ProgramTest() override { ::unlink(file_.c_str()); }

  int run(std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    words.push_back("--kubeconfig=" + file_);
    return cli::run(words, {out_, err_, Colour::Never}, clock_, [this](Duration time) {
      clock_.advance(time);
      ++rests_;
      if (meanwhile) meanwhile(rests_);
    });
  }
  const std::string& kubeconfig() const { return file_; }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  /// `/apis/multinet.dev/v1alpha1/podnetworks` or with a name at its end.
  void put(const std::string& collection, const std::string& name, json object) {
    object["metadata"]["name"] = name;
    const auto answer = server_.store().create(testing::ResourcePath::parse(collection), object);
    ASSERT_LT(answer.status, 300) << answer.body.dump();
  }
  void take(const std::string& path) {
    static_cast<void>(server_.store().remove(testing::ResourcePath::parse(path), json()));
  }
  json look(const std::string& path) {
    const auto answer = server_.store().get(testing::ResourcePath::parse(path));
    return answer.status == 200 ? answer.body : json();
  }

  testing::ApiServer server_;
  FakeClock clock_;
  /// Called after each wait, with their number.
  std::function<void(int)> meanwhile;

 private:
  const std::string file_;
  std::ostringstream out_;
  std::ostringstream err_;
  int rests_ = 0;
};

}  // namespace multinet::cli
