#include "lib/api/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multinet::api {
namespace {

const std::string kPath = "metadata.annotations[multinet.dev/networks]";

TEST(ParseRequest, ReadsNetworksAndAttachmentsInOrder) {
  const auto request = parseRequest("blue, attachment/nas ,\tred-2,attachment/a.b-c");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->items, (std::vector<RequestItem>{{RequestKind::Network, "blue"},
                                                      {RequestKind::Attachment, "nas"},
                                                      {RequestKind::Network, "red-2"},
                                                      {RequestKind::Attachment, "a.b-c"}}));
  EXPECT_EQ(request->items[1].str(), "attachment/nas");
  // A network and an attachment of one name are two things.
  EXPECT_TRUE(parseRequest("blue, attachment/blue"));
}

struct BadRequest {
  std::string text;
  std::string sentence;  // after the path
  std::string reason;
};

const std::vector<BadRequest> kBadRequests{
    {"", ": is empty; remove the annotation, or name a network", "EmptyRequest"},
    {" \t ", ": \" \\x09 \" is empty", "EmptyRequest"},
    {"blue,,red", " item 2: is empty; remove the comma beside it, or name a network", "EmptyItem"},
    {",blue", " item 1: is empty", "EmptyItem"},
    {"blue,", " item 2: is empty; remove the comma beside it", "EmptyItem"},
    {"blue, ", " item 2: is empty", "EmptyItem"},
    {"blue,blue", " item 2: \"blue\" repeats item 1; name each once", "DuplicateItem"},
    {"attachment/a, blue, attachment/a", " item 3: \"attachment/a\" repeats item 1",
     "DuplicateItem"},
    {"[{\"name\": \"blue\"}]",
     ": \"[{\"name\": \"blue\"}]\" is JSON; write names with commas, such as: blue, attachment/nas",
     "JSONRequest"},
    {"{}", ": \"{}\" is JSON", "JSONRequest"},
    {"\"blue\"", "is JSON", "JSONRequest"},
    {"other/blue",
     " item 1: \"other/blue\" points into another namespace, which a request can't do; write blue "
     "for the PodNetwork, or attachment/blue for a PodNetworkAttachment of the pod's own namespace",
     "OtherNamespace"},
    {"attachment/other/nas", " item 1: \"other/nas\" points into another namespace",
     "OtherNamespace"},
    {"network/blue", " item 1: \"network/blue\" has a prefix that networks don't have; write blue",
     "UnknownKind"},
    {"attachment/", " item 1: \"attachment/\" names nothing; write attachment/NAME", "EmptyItem"},
    {"blue@net1",
     " item 1: \"blue@net1\" has the illegal character '@'; a PodNetwork's name is at most 63 of "
     "a-z, 0-9 and -, such as blue",
     "IllegalCharacter"},
    {"Blue", " item 1: \"Blue\" has the illegal character 'B'", "IllegalCharacter"},
    {"blue red", " item 1: \"blue red\" has the illegal character ' '", "IllegalCharacter"},
    {"blue;red", "has the illegal character ';'", "IllegalCharacter"},
    {"a.b", "has the illegal character '.'", "IllegalCharacter"},
    {"bl\n", "has the illegal character '\\x0a'", "IllegalCharacter"},
    {"bl\xc3\xa9", "has the illegal character '\\xc3'", "IllegalCharacter"},
    {"attachment/a_b", "has the illegal character '_'; a PodNetworkAttachment's name",
     "IllegalCharacter"},
    {"-blue", " item 1: \"-blue\" is no legal name", "IllegalName"},
    {"blue-", "is no legal name", "IllegalName"},
    {std::string(64, 'a'), "is no legal name", "IllegalName"},
    {"attachment/.a", "is no legal name", "IllegalName"},
    {"attachment/a..b", "is no legal name", "IllegalName"},
    {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "has 17 items; ask for at most 16", "TooManyInterfaces"},
    {std::string(8193, 'a'), "has 8193 bytes; write at most 8192", "RequestTooLong"},
};

TEST(ParseRequest, RefusesEachBadInputWithItsItem) {
  for (const auto& bad : kBadRequests) {
    const auto request = parseRequest(bad.text);
    ASSERT_FALSE(request) << bad.text;
    ASSERT_EQ(request.error().size(), 1U) << bad.text;
    const std::string sentence = request.error()[0].str();
    EXPECT_THAT(sentence, ::testing::StartsWith(kPath));
    EXPECT_THAT(sentence.substr(kPath.size()), ::testing::HasSubstr(bad.sentence)) << bad.text;
    EXPECT_EQ(request.error()[0].reason, bad.reason) << bad.text;
  }
}

TEST(ParseRequest, TellsAllThatIsWrong) {
  const auto request = parseRequest("blue,,Red,ns/x,blue");
  ASSERT_FALSE(request);
  std::vector<std::string> reasons;
  for (const auto& violation : request.error()) reasons.push_back(violation.reason);
  EXPECT_THAT(reasons, ::testing::ElementsAre("EmptyItem", "IllegalCharacter", "OtherNamespace",
                                              "DuplicateItem"));
}

TEST(ParseRequest, AnswersShortlyToManyFaults) {
  const auto request = parseRequest(std::string(8192, ','));
  ASSERT_FALSE(request);
  EXPECT_LE(request.error().size(), 17U);
  EXPECT_LT(toError(request.error()).message.size(), 4096U);
}

}  // namespace
}  // namespace multinet::api
