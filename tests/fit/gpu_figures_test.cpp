// SPDX-License-Identifier: Apache-2.0
// Every row of the catalogue against what its chip is made of: multiprocessors and boost clock give
// the rates, bus width and data rate the bandwidth.
#include <gtest/gtest.h>

#include <set>

#include "fit/catalogue.h"

namespace nibble {
namespace {

// As NVIDIA's data sheets and product pages have them; Founders Editions, and of a laptop's GPU the
// highest boost clock.
struct Chip {
  const char* name;
  double multiprocessors, boost_mhz, bus_bits, gigabits;  // a second and pin
};
constexpr Chip kChips[] = {
    {"GTX 1070", 15, 1683, 256, 8},
    {"GTX 1080", 20, 1733, 256, 10},
    {"GTX 1080 Ti", 28, 1582, 352, 11},
    {"GTX 1660 Ti", 24, 1770, 192, 12},
    {"P100", 56, 1303, 4096, 1.43},
    {"V100 16GB", 80, 1530, 4096, 1.754},
    {"V100 32GB", 80, 1530, 4096, 1.754},
    {"T4", 40, 1590, 256, 10},
    {"RTX 2060", 30, 1680, 192, 14},
    {"RTX 2070", 36, 1710, 256, 14},
    {"RTX 2070 Super", 40, 1770, 256, 14},
    {"RTX 2080", 46, 1800, 256, 14},
    {"RTX 2080 Super", 48, 1815, 256, 15.5},
    {"RTX 2080 Ti", 68, 1635, 352, 14},
    {"RTX 3050", 20, 1777, 128, 14},
    {"RTX 3060", 28, 1777, 192, 15},
    {"RTX 3060 Ti", 38, 1665, 256, 14},
    {"RTX 3070", 46, 1725, 256, 14},
    {"RTX 3070 Ti", 48, 1770, 256, 19},
    {"RTX 3080", 68, 1710, 320, 19},
    {"RTX 3080 12GB", 70, 1710, 384, 19},
    {"RTX 3080 Ti", 80, 1665, 384, 19},
    {"RTX 3090", 82, 1695, 384, 19.5},
    {"RTX 3090 Ti", 84, 1860, 384, 21},
    {"RTX A2000", 26, 1200, 192, 12},
    {"RTX A4000", 48, 1560, 256, 14},
    {"RTX A5000", 64, 1695, 384, 16},
    {"RTX A6000", 84, 1800, 384, 16},
    {"A2", 10, 1770, 128, 12.5},
    {"A10", 72, 1695, 384, 12.5},
    {"A10G", 72, 1710, 384, 12.5},
    {"A30", 56, 1440, 3072, 2.43},
    {"A40", 84, 1740, 384, 14.5},
    {"A100 40GB", 108, 1410, 5120, 2.43},
    {"A100 80GB", 108, 1410, 5120, 3.186},
    {"RTX 4060", 24, 2460, 128, 17},
    {"RTX 4060 Ti 8GB", 34, 2535, 128, 18},
    {"RTX 4060 Ti 16GB", 34, 2535, 128, 18},
    {"RTX 4070", 46, 2475, 192, 21},
    {"RTX 4070 Super", 56, 2475, 192, 21},
    {"RTX 4070 Ti", 60, 2610, 192, 21},
    {"RTX 4070 Ti Super", 66, 2610, 256, 21},
    {"RTX 4080", 76, 2505, 256, 22.4},
    {"RTX 4080 Super", 80, 2550, 256, 23},
    {"RTX 4090", 128, 2520, 384, 21},
    {"RTX 4000 Ada", 48, 2175, 160, 18},
    {"RTX 5000 Ada", 100, 2550, 256, 18},
    {"RTX 6000 Ada", 142, 2505, 384, 20},
    {"L4", 58, 2040, 192, 12.5},
    {"L40", 142, 2490, 384, 18},
    {"L40S", 142, 2520, 384, 18},
    {"H100 PCIe", 114, 1755, 5120, 3.19},
    {"H100 SXM", 132, 1980, 5120, 5.23},
    {"H100 NVL", 132, 1785, 6144, 5.13},
    {"H200", 132, 1980, 6144, 6.25},
    {"GH200", 132, 1980, 6144, 5.2},
    {"B200", 148, 1980, 8192, 7.5},
    {"RTX 5050", 20, 2572, 128, 20},
    {"RTX 5060", 30, 2497, 128, 28},
    {"RTX 5060 Ti 8GB", 36, 2572, 128, 28},
    {"RTX 5060 Ti 16GB", 36, 2572, 128, 28},
    {"RTX 5070", 48, 2512, 192, 28},
    {"RTX 5070 Ti", 70, 2452, 256, 28},
    {"RTX 5080", 84, 2617, 256, 30},
    {"RTX 5090", 170, 2407, 512, 28},
    {"RTX PRO 6000", 188, 2617, 512, 28},
    {"RTX 2060 Laptop", 30, 1200, 192, 14},
    {"RTX 2070 Laptop", 36, 1440, 256, 14},
    {"RTX 2080 Laptop", 46, 1590, 256, 14},
    {"RTX 3050 Laptop", 16, 1740, 128, 12},
    {"RTX 3050 Ti Laptop", 20, 1695, 128, 12},
    {"RTX 3060 Laptop", 30, 1703, 192, 14},
    {"RTX 3070 Laptop", 40, 1620, 256, 14},
    {"RTX 3070 Ti Laptop", 46, 1485, 256, 14},
    {"RTX 3080 Laptop", 48, 1710, 256, 14},
    {"RTX 3080 Ti Laptop", 58, 1590, 256, 16},
    {"RTX 4050 Laptop", 20, 2370, 96, 16},
    {"RTX 4060 Laptop", 24, 2370, 128, 16},
    {"RTX 4070 Laptop", 36, 2175, 128, 16},
    {"RTX 4080 Laptop", 58, 2280, 192, 18},
    {"RTX 4090 Laptop", 76, 2040, 256, 18},
    {"RTX 5060 Laptop", 26, 2497, 128, 24},
    {"RTX 5070 Laptop", 36, 2347, 128, 24},
    {"RTX 5070 Ti Laptop", 46, 2220, 192, 28},
    {"RTX 5080 Laptop", 60, 2287, 256, 28},
    {"RTX 5090 Laptop", 82, 2160, 256, 28},
};

// Operations of a multiprocessor in a clock: fp32 by its lanes, 16 bits by its tensor cores with
// fp32 sums. After NVIDIA's architecture papers: V100 4 x 2 cores of 64 multiply-adds, Turing
// likewise, A100 4 of 256, GA102, Ada and RTX Blackwell 4 of 128, H100 4 of 512, B200 4 of 1024.
double lanes(double compute) {
  const bool narrow = compute == 6.0 || compute == 7.0 || compute == 7.5 || compute == 8.0;
  return narrow ? 128.0 : 256.0;
}
double tensor_operations(double compute) {
  if (compute == 7.0 || compute == 7.5) return 1024.0;
  if (compute == 8.0) return 2048.0;
  if (compute == 9.0) return 4096.0;
  return compute == 10.0 ? 8192.0 : 1024.0;
}
// Hopper's tensor cores have a clock of their own, which its paper names for two products; of the
// H100 NVL and the B200 none is published (0).
double tensor_mhz(const Gpu& g, const Chip& chip) {
  if (g.name == "H100 NVL" || g.name == "B200") return 0.0;
  if (g.compute_capability == 9.0) return g.name == "H100 PCIe" ? 1620.0 : 1830.0;
  return chip.boost_mhz;
}

class GpuFigures : public testing::Test {
 protected:
  // Sheets round to three digits, and to a whole clock.
  static void near(const Gpu& g, double value, double derived, const char* what) {
    EXPECT_NEAR(value / derived, 1.0, 0.015) << g.name << ": " << what << " " << derived;
  }
  const std::vector<Gpu> all_ = gpu_catalogue("");
};

TEST_F(GpuFigures, EveryRowIsDerived) {
  std::set<std::string> derived;
  for (const Chip& chip : kChips) derived.insert(chip.name);
  for (const Gpu& g : all_) EXPECT_TRUE(derived.contains(g.name)) << g.name;
  EXPECT_EQ(derived.size(), all_.size());
}

TEST_F(GpuFigures, AreWhatChipsAreMadeOf) {
  for (const Chip& chip : kChips) {
    const Gpu& g = find_gpu(all_, chip.name);
    const double clocks = chip.multiprocessors * chip.boost_mhz * 1e6;
    near(g, g.bandwidth_gb, chip.bus_bits * chip.gigabits / 8.0, "bandwidth");
    near(g, g.fp32, lanes(g.compute_capability) * clocks / 1e12, "fp32");
    const bool tensor_cores = g.fp16 > 0;
    EXPECT_EQ(tensor_cores, g.compute_capability >= 7.0 && g.name != "GTX 1660 Ti") << g.name;
    if (!tensor_cores) {
      // Four multiply-adds of bytes in a lane where there are such instructions, from 6.1 on.
      if (g.compute_capability > 6.0) near(g, g.int8, 4.0 * g.fp32, "int8");
      continue;
    }
    // What NVIDIA halves where sums are fp32: consumers' products, and the L40 by its data sheet.
    const bool consumer = g.kind == "desktop" || g.kind == "laptop";
    const bool halved = consumer || g.name == "L40";
    const double at_boost = tensor_operations(g.compute_capability) * clocks / 1e12;
    const double clock = tensor_mhz(g, chip) / chip.boost_mhz, share = halved ? 0.5 : 1.0;
    if (clock == 0.0 || g.source == "other") {
      EXPECT_GT(g.fp16, 0.5 * at_boost) << g.name;
      EXPECT_LT(g.fp16, at_boost) << g.name;
    } else {
      near(g, g.fp16, at_boost * clock * share, "fp16");
    }
    // bf16 came with compute capability 8.0, fp8 with 8.9.
    EXPECT_EQ(g.bf16, g.compute_capability >= 8.0 ? g.fp16 : 0.0) << g.name;
    if (g.compute_capability >= 8.9)
      near(g, g.fp8, 2.0 * g.fp16, "fp8");
    else
      EXPECT_EQ(g.fp8, 0.0) << g.name;
    // Sums of int8 are whole numbers: not halved, but on the L40 by its sheet. Volta's tensor cores
    // know no int8.
    const double int8 = g.compute_capability == 7.0 ? 4.0 * g.fp32
                        : consumer                  ? 4.0 * g.fp16
                                                    : 2.0 * g.fp16;
    near(g, g.int8, int8, "int8");
  }
}

TEST_F(GpuFigures, SourcesAreNamed) {
  for (const Gpu& g : all_)
    EXPECT_TRUE(g.source == "sheet" || g.source == "paper" || g.source == "tops" ||
                g.source == "clock" || g.source == "other")
        << g.name;
}

}  // namespace
}  // namespace nibble
