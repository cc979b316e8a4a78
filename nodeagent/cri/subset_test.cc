// The few CRI messages that we describe in our own words, against the real file: each name, number
// and type. The real one comes from the Go module that the end-to-end tests pin.
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace pb = google::protobuf;
using Path = std::filesystem::path;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Path moduleCache() {
  if (auto cache = variable("GOMODCACHE"); !cache.empty()) return cache;
  if (const auto path = variable("GOPATH"); !path.empty()) return Path(path) / "pkg/mod";
  return Path(variable("HOME")) / "go/pkg/mod";
}

std::optional<std::string> pinnedVersion() {
  std::ifstream file(std::string(MULTINET_SOURCE_DIR) + "/test/e2e/go/kubernetes/go.mod");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::smatch match;
  if (!std::regex_search(text, match, std::regex(R"(=> k8s\.io/cri-api (v[0-9.]+))"))) return {};
  return match[1].str();
}

class Complaints final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int, const std::string& message) override {
    ADD_FAILURE() << "api.proto:" << line + 1 << ": " << message;
  }
};

/// Options say nothing about the wire, and newer ones than our protobuf knows would fail the build.
void dropOptions(pb::DescriptorProto& message) {
  for (auto& field : *message.mutable_field()) {
    field.mutable_options()->clear_uninterpreted_option();
  }
  for (auto& nested : *message.mutable_nested_type()) dropOptions(nested);
}

std::string shortName(const pb::FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->name();
  return field.enum_type() == nullptr ? "" : field.enum_type()->name();
}

void compareEnum(const pb::EnumDescriptor& ours, const pb::EnumDescriptor& real) {
  ASSERT_EQ(ours.value_count(), real.value_count()) << ours.name();
  for (int i = 0; i < ours.value_count(); ++i) {
    const auto* value = real.FindValueByName(ours.value(i)->name());
    ASSERT_NE(value, nullptr) << ours.value(i)->full_name();
    EXPECT_EQ(ours.value(i)->number(), value->number()) << ours.value(i)->full_name();
  }
}

void compareMessage(const pb::Descriptor& ours, const pb::Descriptor& real) {
  for (int i = 0; i < ours.field_count(); ++i) {
    const auto& field = *ours.field(i);
    const auto* other = real.FindFieldByName(field.name());
    ASSERT_NE(other, nullptr) << field.full_name() << " isn't in CRI";
    EXPECT_EQ(field.number(), other->number()) << field.full_name();
    EXPECT_EQ(field.type(), other->type()) << field.full_name();
    EXPECT_EQ(field.label(), other->label()) << field.full_name();
    EXPECT_EQ(shortName(field), shortName(*other)) << field.full_name();
  }
}

/// `runtime.v1` of the pinned module; null with a failure or a skip.
class RealCri : public testing::Test {
 protected:
  void SetUp() override {
    const auto version = pinnedVersion();
    ASSERT_TRUE(version.has_value()) << "test/e2e/go/kubernetes/go.mod pins no k8s.io/cri-api";
    const auto directory =
        moduleCache() / "k8s.io" / ("cri-api@" + *version) / "pkg/apis/runtime/v1";
    if (!std::filesystem::exists(directory / "api.proto")) {
      GTEST_SKIP() << directory << " has no api.proto: `go mod download` in "
                   << "test/e2e/go/kubernetes fetches it";
    }
    std::ifstream text(directory / "api.proto");
    pb::io::IstreamInputStream stream(&text);
    Complaints complaints;
    pb::io::Tokenizer tokenizer(&stream, &complaints);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(&complaints);
    pb::FileDescriptorProto file;
    file.set_name("api.proto");
    ASSERT_TRUE(parser.Parse(&tokenizer, &file));
    for (auto& message : *file.mutable_message_type()) dropOptions(message);
    real = pool_.BuildFile(file);
    ASSERT_NE(real, nullptr);
  }

  const pb::FileDescriptor* real = nullptr;

 private:
  pb::DescriptorPool pool_;
};

TEST_F(RealCri, HasEveryMessageFieldAndValueOfTheSubset) {
  const auto& ours = *multinet::cri::subset::RunPodSandboxRequest::descriptor()->file();
  ASSERT_GT(ours.message_type_count(), 20);
  for (int i = 0; i < ours.message_type_count(); ++i) {
    const auto* message = real->FindMessageTypeByName(ours.message_type(i)->name());
    ASSERT_NE(message, nullptr) << ours.message_type(i)->name() << " isn't in CRI";
    compareMessage(*ours.message_type(i), *message);
  }
  for (int i = 0; i < ours.enum_type_count(); ++i) {
    const auto* type = real->FindEnumTypeByName(ours.enum_type(i)->name());
    ASSERT_NE(type, nullptr) << ours.enum_type(i)->name() << " isn't in CRI";
    compareEnum(*ours.enum_type(i), *type);
  }
}

TEST_F(RealCri, LeavesOurFieldNumberFree) {
  constexpr int kExtension = 53698;
  for (const auto* carrier :
       {"PodSandboxConfig", "RunPodSandboxResponse", "PodSandboxNetworkStatus", "StatusResponse"}) {
    const auto* message = real->FindMessageTypeByName(carrier);
    ASSERT_NE(message, nullptr) << carrier;
    EXPECT_EQ(message->FindFieldByNumber(kExtension), nullptr) << carrier;
    EXPECT_FALSE(message->IsReservedNumber(kExtension)) << carrier;
  }
}

/// A method of the service that makes, shows or ends sandboxes and that nobody has looked at yet
/// would go around the agent: a new release of CRI has to be read.
TEST_F(RealCri, HasNoUnknownMethodOfSandboxes) {
  const auto* service = real->FindServiceByName("RuntimeService");
  ASSERT_NE(service, nullptr);
  const std::set<std::string> known{
      "RunPodSandbox",         "StopPodSandbox",         "RemovePodSandbox",
      "PodSandboxStatus",      "ListPodSandbox",         "RestorePod",
      "StreamPodSandboxes",    "PodSandboxStats",        "ListPodSandboxStats",
      "ListPodSandboxMetrics", "CheckpointPod",          "UpdatePodSandboxResources",
      "StreamPodSandboxStats", "StreamPodSandboxMetrics"};
  for (int i = 0; i < service->method_count(); ++i) {
    const auto& method = service->method(i)->name();
    if (method.find("Pod") == std::string::npos) continue;
    EXPECT_TRUE(known.contains(method)) << method;
  }
}

}  // namespace
}  // namespace multinet::agent::cri
