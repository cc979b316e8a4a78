#include "controller/world/vacancies.h"

#include <gtest/gtest.h>

namespace multinet::controller {
namespace {

using std::chrono::minutes;

TEST(Vacancies, AreKnownByTheLastTime) {
  Vacancies vacancies;
  const BootTime start(std::chrono::hours(1));
  const NetworkName blue("blue");
  EXPECT_FALSE(vacancies.leftAt("shop", blue));
  vacancies.left("shop", blue, start);
  vacancies.left("shop", blue, start + minutes(1));
  vacancies.left("yard", blue, start + minutes(2));
  EXPECT_EQ(vacancies.leftAt("shop", blue), start + minutes(1));
  EXPECT_EQ(vacancies.leftAt("yard", blue), start + minutes(2));
  EXPECT_FALSE(vacancies.leftAt("shop", NetworkName("red")));
}

TEST(Vacancies, AreForgottenOnceNothingIsKeptForThem) {
  Vacancies vacancies;
  const BootTime start(std::chrono::hours(1));
  const NetworkName blue("blue");
  for (int i = 0; i < 1'000; ++i) {
    vacancies.left("space-" + std::to_string(i), blue, start + minutes(i));
  }
  EXPECT_EQ(vacancies.size(), 5U);
  EXPECT_TRUE(vacancies.leftAt("space-995", blue));
  EXPECT_FALSE(vacancies.leftAt("space-994", blue));
}

}  // namespace
}  // namespace multinet::controller
