// SPDX-License-Identifier: Apache-2.0
// GPUs and models that people have, as tables that a user can extend: lib/fit/gpus.csv and
// models.csv, built in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fit/step_cost.h"
#include "model/config.h"

namespace nibble {

struct Gpu {
  std::string name;
  double memory_gib = 0.0;                                           // as sold
  double bandwidth_gb = 0.0;                                         // GB/s
  double fp32 = 0.0, bf16 = 0.0, fp16 = 0.0, fp8 = 0.0, int8 = 0.0;  // dense, 10^12 a second
  double compute_capability = 0.0;
  int64_t year = 0;
  std::string kind;    // desktop, laptop, workstation, server
  bool ecc = false;    // a sixteenth of the memory is not to be had
  std::string source;  // of the rates: sheet, paper, tops, clock, other; "" where a user's

  uint64_t bytes() const;
  /// What a process can have of it: driver, error correction and display take their share.
  uint64_t usable_bytes() const;
  /// Of training in bf16, or what the device has in its place.
  Rates rates() const;
};

inline constexpr double kUsableShare = 0.97;
/// What nibble's CUDA half needs.
inline constexpr double kLeastComputeCapability = 8.0;

/// The built-in table, and the rows of `file` unless that is empty: a row of a name that is there
/// takes its place. Throws DataError naming file, line and column.
std::vector<Gpu> gpu_catalogue(const std::string& file);

/// Those with at least `least` and, unless it is 0, at most `most` bytes.
std::vector<Gpu> filter_gpus(std::vector<Gpu> gpus, uint64_t least, uint64_t most);

/// By name, as people write it: "RTX 4090", "rtx4090", "4090", "a100-80gb". Throws UsageError with
/// the names that are meant, perhaps.
const Gpu& find_gpu(const std::vector<Gpu>& catalogue, std::string_view name);

/// The entry for a device that a driver calls so and that has that much memory; nullptr: none.
const Gpu* match_device(const std::vector<Gpu>& catalogue, std::string_view driver_name,
                        uint64_t bytes);

struct KnownModel {
  std::string name;
  ModelConfig config;  // dense, bf16
};
/// By number of parameters, smallest first.
std::vector<KnownModel> known_models();

/// A model of about that many parameters, shaped as LLaMA's are: for plans where nothing but the
/// size is known. Throws UsageError for less than 10^6 or more than 10^13.
ModelConfig shape_of_size(double parameters);

/// "7B", "0.6b", "350M", "7241732096". Throws UsageError.
double parse_parameters(std::string_view text);

}  // namespace nibble
