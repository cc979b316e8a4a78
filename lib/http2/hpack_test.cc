#include "lib/http2/hpack.h"

#include <gtest/gtest.h>

#include <string>

namespace multinet::http2 {
namespace {

std::string bytesOf(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

constexpr std::size_t kMost = 1U << 20U;

TEST(Hpack, ReadsTheExamplesOfItsRfc) {
  HpackDecoder plain(kMost);  // RFC 7541, appendix C.3: three requests on one connection
  const auto first = plain.decode(bytesOf("828684410f7777772e6578616d706c652e636f6d"));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, (Headers{{":method", "GET"},
                             {":scheme", "http"},
                             {":path", "/"},
                             {":authority", "www.example.com"}}));
  const auto second = plain.decode(bytesOf("828684be58086e6f2d6361636865"));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(valueOf(*second, ":authority"), "www.example.com");
  EXPECT_EQ(valueOf(*second, "cache-control"), "no-cache");
  const auto third =
      plain.decode(bytesOf("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"));
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(valueOf(*third, "custom-key"), "custom-value");
  EXPECT_EQ(valueOf(*third, ":authority"), "www.example.com");

  HpackDecoder coded(kMost);  // appendix C.4: the same with Huffman codes
  ASSERT_TRUE(coded.decode(bytesOf("828684418cf1e3c2e5f23a6ba0ab90f4ff")).has_value());
  ASSERT_TRUE(coded.decode(bytesOf("828684be5886a8eb10649cbf")).has_value());
  EXPECT_EQ(*coded.decode(bytesOf("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")), *third);
}

TEST(Hpack, ForgetsTheOldestWhereTheTableIsFull) {
  HpackDecoder decoder(kMost);
  ASSERT_TRUE(decoder.decode(std::string("\x3f\x21", 2)).has_value()) << "a table of 64 bytes";
  const auto kept = decoder.decode(
      "\x40\x01x\x01y\x40\x01"
      "a\x01"
      "b");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(decoder.decode("\xbe")->front(), (Header{"a", "b"}));
  EXPECT_FALSE(decoder.decode("\xbf").has_value()) << "34 bytes each: one has room";
}

TEST(Hpack, ReadsWhatItWrites) {
  const Headers headers = {{":status", "200"},
                           {":path", "/runtime.v1.RuntimeService/Version"},
                           {"content-type", "application/grpc"},
                           {"x-empty", ""},
                           {"x-long", std::string(300'000, 'z')},
                           {"x-raw", std::string("\0\xff%", 3)}};
  HpackDecoder decoder(kMost);
  const auto block = encodeHeaders(headers);
  for (int i = 0; i < 2; ++i) {
    const auto read = decoder.decode(block);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, headers);
  }
}

TEST(Hpack, RefusesWhatIsNoBlock) {
  for (const auto* hex : {"80", "ff", "ffffffffffffff7f", "40", "4001", "400178", "40017805", "c6",
                          "823f21", "3fe21f", "00017f"}) {
    HpackDecoder decoder(kMost);
    EXPECT_FALSE(decoder.decode(bytesOf(hex)).has_value()) << hex;
  }
  HpackDecoder narrow(100);
  EXPECT_FALSE(narrow.decode(encodeHeaders({{"x", std::string(101, 'y')}})).has_value());
}

TEST(Huffman, ReadsAllOnesAsFillingAndNothingElse) {
  EXPECT_EQ(*decodeHuffman(bytesOf("f1e3c2e5f23a6ba0ab90f4ff")), "www.example.com");
  EXPECT_EQ(*decodeHuffman(""), "");
  EXPECT_EQ(*decodeHuffman(bytesOf("1f")), "a") << "00011 and three ones";
  EXPECT_FALSE(decodeHuffman(bytesOf("18")).has_value()) << "filled with zeros";
  EXPECT_FALSE(decodeHuffman(bytesOf("1fff")).has_value()) << "a byte of filling";
  EXPECT_FALSE(decodeHuffman(bytesOf("ffffffff")).has_value()) << "the end is no letter";
}

}  // namespace
}  // namespace multinet::http2
