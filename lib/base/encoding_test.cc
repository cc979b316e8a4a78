#include "lib/base/encoding.h"

#include <gtest/gtest.h>

namespace multinet {
namespace {

TEST(Base64, KnownTexts) {  // RFC 4648, section 10
  EXPECT_EQ(encodeBase64(""), "");
  EXPECT_EQ(encodeBase64("f"), "Zg==");
  EXPECT_EQ(encodeBase64("fo"), "Zm8=");
  EXPECT_EQ(encodeBase64("foo"), "Zm9v");
  EXPECT_EQ(encodeBase64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encodeBase64("\xfb\xff"), "+/8=");
}

TEST(Base64, ReadsBackEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    const auto back = decodeBase64(encodeBase64(bytes));
    ASSERT_TRUE(back) << i;
    EXPECT_EQ(*back, bytes);
    bytes.push_back(static_cast<char>(i));
  }
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text :
       {"Zg=", "Zg", "Z!==", "====", "Z===", "Zg==Zg==", "Zm-v", "Zm9v\n", "A==="}) {
    const auto refused = decodeBase64(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().reason, "InvalidBase64");
  }
}

TEST(Fnv, KnownHashes) {  // draft-eastlake-fnv
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171f73967e8ULL);
}

}  // namespace
}  // namespace multinet
