// SPDX-License-Identifier: Apache-2.0
// Threads: one OpenMP runtime for everything. Work is cut into contiguous parts, one a thread, so
// the same number of threads gives the same bits; where results do not depend on who makes them,
// parts are cut into pieces besides, which threads that are done take from others.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace nibble {

/// Processors this process may use (affinity mask and cgroup quota), at least 1.
int available_threads();

/// Sets the number of threads of all parallel code from here on; 0 means available_threads().
void set_threads(int count);
int threads();

/// A callable, by reference: it must outlive the call it is given to. Unlike a std::function it
/// never allocates.
template <class... Args>
class Body {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Body> && std::is_invocable_v<const F&, Args...>)
      Body(const F& body)  // NOLINT: meant to be implicit
      : body_(std::addressof(body)),
        call_([](const void* f, Args... args) { (*static_cast<const F*>(f))(args...); }) {}
  void operator()(Args... args) const { call_(body_, args...); }

 private:
  const void* body_;
  void (*call_)(const void*, Args...);
};
using RangeBody = Body<int64_t, int64_t>;  // of [begin, end)

/// Calls body(begin, end) on parts of [0, n), one contiguous part a thread, each a multiple of
/// `grain` long but the last; serial where n <= grain. An exception in a part is rethrown here.
void parallel_for(int64_t n, int64_t grain, RangeBody body);

/// What is left of a loop's pieces, as one of its threads takes them.
class Pieces {
 public:
  struct Range {
    int64_t begin = 0, end = 0;
  };
  /// The next piece of this thread's own part, or once that is done, the last of the part that has
  /// most left; false where nothing is left.
  bool take(Range& piece);
  /// Which of the loop's threads this is.
  int64_t thread() const { return own_; }

 private:
  friend void parallel_pieces(int64_t, int64_t, Body<Pieces&>, int64_t);
  struct Part;
  static Part* parts(int64_t count);
  Pieces(Part* parts, int64_t count, int64_t own, int64_t n, int64_t grain)
      : parts_(parts), count_(count), own_(own), n_(n), grain_(grain) {}

  Part* parts_;
  int64_t count_, own_, n_, grain_;
};

/// Calls body(pieces) once a thread, which takes pieces of [0, n), `grain` long but the last, until
/// there are none. Parts are those of parallel_for, but a thread that is done takes of others':
/// memory, and other programs, hold up now one and now another, by a tenth and more of a product.
/// What a piece becomes may depend neither on who makes it nor on what was made before. At most
/// `most` threads, if that is not 0.
void parallel_pieces(int64_t n, int64_t grain, Body<Pieces&> body, int64_t most = 0);
/// The same, as body(begin, end) for each piece.
void parallel_pieces(int64_t n, int64_t grain, RangeBody body);

}  // namespace nibble
