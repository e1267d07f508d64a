// SPDX-License-Identifier: Apache-2.0
// What tests of kernels ask of the emulator beside CUDA's own calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nibble::emulate {

/// The faults reported since the last call, one line each; clears the sticky error. A process that
/// ends with faults not taken ends with failure.
std::vector<std::string> take_faults();

/// Takes [p, p + bytes) within an allocation for a tensor of its own: from now on it holds nothing
/// (reads are faults until written), and `name` stands in reports.
void annotate(const void* p, size_t bytes, const char* name);

/// Takes bytes of the heap away, so that reading them is a fault as of memory never written, or
/// gives them back. What they hold stays. Nothing may run meanwhile.
void withhold(const void* p, size_t bytes, bool away);

/// Kernels launched since the last call, by the name given to launch().
std::map<std::string, int64_t> take_launches();

/// Everything that the device was given since the last call: kernels by the name given to
/// launch(), "matmul" for cuBLASLt's products, "copy", "fill". With NIBBLE_EMULATE_BODIES=skip
/// nothing is done but counted, so that no memory is touched: a model of any size will do.
struct Submissions {
  std::map<std::string, int64_t> single;    // by a call each
  std::map<std::string, int64_t> replayed;  // as nodes of graphs
  int64_t graphs = 0;                       // launched
};
Submissions take_submissions();

/// Names what is counted from here on, for the counters (counters.h), and says how many blocks of
/// a grid are, where NIBBLE_EMULATE_SAMPLE does not.
void begin_case(const std::string& name, uint64_t sample);

/// Why cuBLASLt's twin last refused a product, "section: rule"; empty where it did not.
std::string take_matmul_refusal();

/// Products since the last call whose sums the twin made in parts, as an algorithm with a reduction
/// scheme does.
int64_t take_split_products();

}  // namespace nibble::emulate
