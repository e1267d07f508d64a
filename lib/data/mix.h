// SPDX-License-Identifier: Apache-2.0
// Mixing: records of several files, interleaved at random so that the mix has the shares asked for
// at every moment (see deal.h). Files are streams: in memory is one record of each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/deal.h"
#include "data/records.h"

namespace nibble {

/// When a mix by weights ends, as Hugging Face's interleave_datasets has it.
enum class MixStop : uint8_t {
  kFirstExhausted,  // with the last record of the first file to end
  kAllExhausted,    // when each file has ended once; one that ends early begins again
  kAllExhaustedWithoutReplacement,  // when each has ended; none begins again
};

struct MixSource {
  std::string path;
  double share = 1;                // of the mix, in proportion to the others'
  std::optional<int64_t> records;  // in the file, where they have been counted
  std::optional<int64_t> quota;    // how many to take, over as many epochs as it needs
};

struct MixCounts {
  int64_t taken = 0, epochs = 0;   // records, and how often the file ended
  std::optional<int64_t> records;  // in the file, where it ended or was counted
};

/// Interleaves the sources and gives each record's line to `use`. A source with a quota needs its
/// records counted, and then `stop` says nothing. At most `limit` records. Throws DataError.
std::vector<MixCounts> mix(const std::vector<MixSource>& sources, MixStop stop, int64_t limit,
                           uint64_t seed, BadRecords& bad,
                           const std::function<void(std::string_view)>& use);

/// Shares in proportion to records^(1/temperature): T5's (Raffel et al. 2020). 1: as they are;
/// larger: small files get more.
double temperature_share(int64_t records, double temperature);

/// The records of a file that can be read. Throws UsageError where it can be read but once.
int64_t count_records(const std::string& path, int64_t allowed_bad);
/// Throws UsageError where the file can be read but once: a pipe.
void require_rereadable(const std::string& path);

}  // namespace nibble
