// SPDX-License-Identifier: Apache-2.0
// Work that comes again and again, as CUDA graphs: launching hundreds of small kernels one by one
// takes the host longer than a small model's kernels take the device. On the CPU, where graphs are
// off and where the driver refuses them, of which there is a notice, work is done as it comes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/profile.h"
#include "tensor/cuda.h"

namespace nibble {

/// A graph of a model's step takes megabytes of the driver's memory.
inline constexpr int64_t kMostGraphs = 32;

class Graphs {
 public:
  /// All that a run of the work depends on beside the contents of device memory.
  using Key = std::array<int64_t, 5>;

  Graphs() = default;
  /// For work of the stream that is current when run() is called. At most `most` graphs are held.
  explicit Graphs(Device device, bool wanted = true, int64_t most = kMostGraphs)
      : on_(device.on_cuda() && wanted), most_(most) {}
  Graphs(Graphs&& other) noexcept { *this = std::move(other); }
  Graphs& operator=(Graphs&& other) noexcept;
  ~Graphs();

  /// Does what `body` puts on the stream. The first time a key comes body is run as it is, so that
  /// libraries choose their algorithms and load their code; the second time what it does is
  /// recorded; from then on the record is launched. Recording costs more than some launches, so
  /// where keys are more than may be held, those that have a graph keep it while they come, and
  /// the others' work is done as it comes. In body nothing waits and nothing allocates; other
  /// streams join by events and come back by events. Throws as body does.
  template <class Body>
  void run(const Key& key, const Body& body) {
    // A profile tells the ops apart.
    if (!on_ || profiling()) return body();
    Entry& entry = find(key);
    if (entry.graph) return cuda::launch_graph(entry.graph, current_stream());
    if (!entry.warm) {
      body();
      entry.warm = true;
      return;
    }
    const Stream stream = current_stream();
    if (!make_room() || !begin(stream)) return body();
    try {
      body();
    } catch (...) {
      cuda::abandon_capture(stream);
      throw;
    }
    if (!end(stream, entry)) return body();
    cuda::launch_graph(entry.graph, stream);
  }

  /// Graphs held now.
  int64_t held() const;
  /// Why no more are made: what the driver said when it refused one. Empty where it did not.
  const std::string& refusal() const { return refusal_; }

 private:
  struct Entry {
    Key key{};
    bool warm = false;
    cuda::Graph graph = nullptr;
    int64_t last = 0;  // run
  };
  /// The key's, made if need be.
  Entry& find(const Key& key);
  /// Whether one more graph may be held, if need be in place of one that has long been unused.
  bool make_room();
  // False where the driver refuses: nothing was done then, and graphs are off from there on.
  bool begin(Stream stream);
  bool end(Stream stream, Entry& entry);
  bool refuse(const UnavailableError& error);

  bool on_ = false;
  int64_t most_ = kMostGraphs;
  std::string refusal_;
  int64_t runs_ = 0;
  std::vector<Entry> entries_;  // the last used at the end
};

/// The least of a row of sizes that is not below `size`: multiples of `unit` up to 8 of them, then
/// 8 sizes from each power of two to the next, so that few sizes cover all and none adds more than
/// an eighth.
int64_t graph_size(int64_t size, int64_t unit);
/// The least power of two that is not below a size of 1 or more.
int64_t power_of_two(int64_t size);

}  // namespace nibble
