#include "lib/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/fake_clock.h"

namespace multinet::tls {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;

class CertificateTest : public testing::Test {
 protected:
  WallTime now_ = FakeClock().wall();
  KeyPair ca_ = *makeCa({.commonName = "multinet-webhook-ca"}, now_);
  LeafRequest request_{.commonName = "multinet-webhook",
                       .dnsNames = {"multinet-webhook.multinet-system.svc", "localhost"},
                       .ipAddresses = {"127.0.0.1", "fd00::1"}};
};

TEST_F(CertificateTest, LeafSaysWhatWasAsked) {
  const auto leaf = signLeaf(ca_, request_, now_);
  ASSERT_TRUE(leaf) << leaf.error().message;
  const auto info = parseCertificate(leaf->certificatePem);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->subject, "CN=multinet-webhook");
  EXPECT_EQ(info->issuer, "CN=multinet-webhook-ca");
  EXPECT_THAT(info->dnsNames, ElementsAre("multinet-webhook.multinet-system.svc", "localhost"));
  EXPECT_THAT(info->ipAddresses, ElementsAre("127.0.0.1", "fd00::1"));
  EXPECT_FALSE(info->isCa);
  EXPECT_EQ(info->notAfter, std::chrono::floor<std::chrono::seconds>(now_ + hours(24 * 90)));
  EXPECT_LT(info->notBefore, now_);
  EXPECT_TRUE(parseCertificate(ca_.certificatePem)->isCa);
  EXPECT_TRUE(checkPair(*leaf));
}

TEST_F(CertificateTest, TrustEndsWithTheCaAndWithTime) {
  const auto leaf = signLeaf(ca_, request_, now_);
  EXPECT_TRUE(checkSignedBy(leaf->certificatePem, ca_.certificatePem, now_));
  const auto late = checkSignedBy(leaf->certificatePem, ca_.certificatePem, now_ + hours(24 * 91));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("expired"));
  const auto other = makeCa({.commonName = "other"}, now_);
  EXPECT_FALSE(checkSignedBy(leaf->certificatePem, other->certificatePem, now_));
  // Rotation: while both CAs are in the bundle, certificates of either are trusted.
  EXPECT_TRUE(
      checkSignedBy(leaf->certificatePem, other->certificatePem + ca_.certificatePem, now_));
}

TEST_F(CertificateTest, ACaOfTheSameNameIsAnotherCa) {
  const auto leaf = signLeaf(ca_, request_, now_);
  const auto twin = makeCa({.commonName = "multinet-webhook-ca"}, now_);
  EXPECT_FALSE(checkSignedBy(leaf->certificatePem, twin->certificatePem, now_));
}

TEST_F(CertificateTest, LeafNeverOutlivesItsCa) {
  const auto brief = makeCa({.commonName = "brief", .lifetime = hours(24)}, now_);
  const auto leaf = signLeaf(*brief, request_, now_);
  EXPECT_EQ(parseCertificate(leaf->certificatePem)->notAfter,
            parseCertificate(brief->certificatePem)->notAfter);
  const auto dead = signLeaf(*brief, request_, now_ + hours(25));
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().reason, "CaExpired");
}

TEST_F(CertificateTest, SerialsDiffer) {
  EXPECT_NE(signLeaf(ca_, request_, now_)->certificatePem,
            signLeaf(ca_, request_, now_)->certificatePem);
}

TEST_F(CertificateTest, RefusesNamesThatWouldAddEntries) {
  for (const char* name : {"a,IP:10.0.0.1", "a,DNS:evil", "", "a b", "a\nb", "DNS:a"}) {
    request_.dnsNames = {name};
    const auto leaf = signLeaf(ca_, request_, now_);
    ASSERT_FALSE(leaf) << name;
    EXPECT_EQ(leaf.error().reason, "BadDnsName");
  }
  request_.dnsNames = {};
  request_.ipAddresses = {"10.0.0.256"};
  EXPECT_FALSE(signLeaf(ca_, request_, now_));
  request_.ipAddresses = {};
  EXPECT_EQ(signLeaf(ca_, request_, now_).error().reason, "NoName");
  EXPECT_EQ(makeCa({.commonName = ""}, now_).error().reason, "BadCommonName");
}

TEST_F(CertificateTest, FindsAKeyThatIsAnothers) {
  const auto one = signLeaf(ca_, request_, now_);
  const auto two = signLeaf(ca_, request_, now_);
  const auto mixed = checkPair({one->certificatePem, two->keyPem});
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().reason, "KeyMismatch");
  EXPECT_EQ(signLeaf({ca_.certificatePem, one->keyPem}, request_, now_).error().reason,
            "KeyMismatch");
}

TEST_F(CertificateTest, SplitsABundleAndRefusesADamagedOne) {
  const auto other = makeCa({.commonName = "other"}, now_);
  const auto parts = splitBundle("# comment\n" + ca_.certificatePem + "\n" + other->certificatePem);
  ASSERT_TRUE(parts);
  EXPECT_THAT(*parts, ElementsAre(ca_.certificatePem, other->certificatePem));
  std::string damaged = other->certificatePem;
  damaged.erase(100, 10);
  EXPECT_FALSE(splitBundle(ca_.certificatePem + damaged));
}

TEST_F(CertificateTest, RefusesWhatIsNoPem) {
  for (const std::string text :
       {"", "hello", "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_FALSE(parseCertificate(text)) << text;
    EXPECT_FALSE(splitBundle(text)) << text;
    EXPECT_FALSE(checkPair({text, ca_.keyPem})) << text;
    EXPECT_FALSE(checkPair({ca_.certificatePem, text})) << text;
  }
  EXPECT_FALSE(parseCertificate(std::string(2U << 20U, 'a')));
  // An error left in OpenSSL's queue would show up here.
  EXPECT_TRUE(checkPair(ca_));
}

}  // namespace
}  // namespace multinet::tls
