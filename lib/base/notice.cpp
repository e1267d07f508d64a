// SPDX-License-Identifier: Apache-2.0
#include "base/notice.h"

#include <mutex>
#include <set>
#include <utility>

namespace nibble {
namespace {

struct Notices {
  std::mutex mutex;
  std::function<void(std::string_view)> listener;
  std::set<std::string> said;
};

Notices& notices() {
  static Notices all;
  return all;
}

}  // namespace

void notice(const std::string& text) {
  Notices& all = notices();
  const std::lock_guard lock(all.mutex);
  if (all.listener && all.said.insert(text).second) all.listener(text);
}

void on_notice(std::function<void(std::string_view)> listener) {
  Notices& all = notices();
  const std::lock_guard lock(all.mutex);
  all.listener = std::move(listener);
}

}  // namespace nibble
