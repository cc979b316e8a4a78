#include "controller/certificate_door.h"

namespace multinet::controller {
namespace {

TEST(Base64, KnownTexts) {  // RFC 4648 section 10
  EXPECT_EQ(toBase64(""), "");
  EXPECT_EQ(toBase64("f"), "Zg==");
  EXPECT_EQ(toBase64("fo"), "Zm8=");
  EXPECT_EQ(toBase64("foobar"), "Zm9vYmFy");
}

TEST(Base64, ReadsBackEveryLength) {
  std::string bytes;
  for (int length = 0; length < 70; ++length) {
    const auto back = fromBase64(toBase64(bytes));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, bytes);
    bytes.push_back(static_cast<char>(length * 37));
  }
}

TEST(Base64, RefusesWhatIsNone) {
  EXPECT_FALSE(fromBase64("Zg=").has_value());
  EXPECT_FALSE(fromBase64("Z!==").has_value());
}

}  // namespace
}  // namespace multinet::controller
