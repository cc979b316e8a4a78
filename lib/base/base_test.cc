#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "lib/base/mac.h"

namespace multinet {
namespace {

TEST(InterfaceName, RefusesWhatKernelOrNftWouldMisread) {
  for (const char* bad : {"", "lo", "eth0", "all", "default", "0123456789abcdef", "a/b", "net%d",
                          "net*", "a\"b", "a b", "-net", ".", ".."}) {
    EXPECT_FALSE(InterfaceName::parse(bad)) << bad;
  }
  EXPECT_EQ(InterfaceName::parse("0123456789abcde")->str(), "0123456789abcde");
}

TEST(Mac, RefusesGroupZeroAndMalformed) {
  for (const char* bad : {"01:00:5e:00:00:01", "00:00:00:00:00:00", "0a-58-0a-14-ff-07", "0a:58"}) {
    EXPECT_FALSE(MacAddress::parse(bad)) << bad;
  }
  EXPECT_EQ(MacAddress::parse("0A:58:0a:14:ff:07")->str(), "0a:58:0a:14:ff:07");
}

TEST(Mac, DerivesLocalUnicast) {
  const MacAddress mac = MacAddress::derive("intent/net1");
  EXPECT_EQ(mac.bytes()[0] & 3U, 2U);
  EXPECT_EQ(mac, MacAddress::derive("intent/net1"));
  EXPECT_NE(mac, MacAddress::derive("intent/net2"));
}

TEST(Fd, MoveAssignmentClosesTheOldOne) {
  Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int old = first.get();
  first = Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_NE(first.get(), old);
  EXPECT_EQ(::fcntl(old, F_GETFD), -1);
}

TEST(Time, ReadsWhatItWrites) {
  const auto time = parseTime("2026-11-23T09:31:07.123456Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(formatMicroTime(*time), "2026-11-23T09:31:07.123456Z");
  EXPECT_EQ(formatTime(*time), "2026-11-23T09:31:07Z");
  EXPECT_FALSE(parseTime("2026-11-23"));
  EXPECT_FALSE(parseTime("2026-11-23T09:31:07+01:00"));
}

TEST(Failpoint, FailsAtTheNthMatch) {
  ASSERT_TRUE(failpoint::arm("sandbox.*@2=error"));
  EXPECT_TRUE(failpoint::check("sandbox.a"));
  EXPECT_TRUE(failpoint::check("journal.a"));
  EXPECT_FALSE(failpoint::check("sandbox.b"));
  EXPECT_TRUE(failpoint::check("sandbox.b"));
  ASSERT_TRUE(failpoint::arm(""));
}

TEST(Failpoint, RefusesWhatItCannotUnderstand) {
  for (const char* bad : {"a", "a=", "=kill", "a@x=kill", "a=delay:x", "a=explode"}) {
    EXPECT_FALSE(failpoint::arm(bad)) << bad;
  }
}

}  // namespace
}  // namespace multinet
