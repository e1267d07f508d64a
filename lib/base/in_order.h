// SPDX-License-Identifier: Apache-2.0
// Things made on all threads and used in order: whichever thread comes free uses what is ready, so
// that none is there for using alone and the order of what is written does not depend on how many
// there are.
#pragma once

#include <cstdint>
#include <functional>

namespace nibble {

/// How many things may be made and not yet used, with as many threads as there are.
int64_t ahead_in_order();

/// Calls make(i) for every i below n on any thread, in no order, and use(i) in order, one at a
/// time. use(i) has returned before make(i + ahead) begins: what is made can lie in slot i % ahead.
/// Of exceptions the one that a single thread would have met is thrown, after which nothing more is
/// made or used.
void in_order(int64_t n, int64_t ahead, const std::function<void(int64_t i)>& make,
              const std::function<void(int64_t i)>& use);

}  // namespace nibble
