// SPDX-License-Identifier: Apache-2.0
// Numbers and tables for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

/// "1.50 GiB", "12.3 MiB": three digits.
std::string binary_size(double bytes);
/// "28.97 GB": for rules of thumb, which count in powers of ten.
std::string decimal_size(double bytes);
/// "7.24B", "29.7k".
std::string count_text(double count);
/// "3 h 12 min", "41 s".
std::string time_text(double seconds);
/// "7,241,732,096".
std::string grouped(int64_t n);

/// Columns as wide as their widest value, the first to the left, the others to the right.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

}  // namespace nibble
