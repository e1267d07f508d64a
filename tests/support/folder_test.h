// SPDX-License-Identifier: Apache-2.0
// A fixture with a folder of its own for each test, and the message of what an action throws.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/scratch.h"

namespace nibble::test {

class FolderTest : public testing::Test {
 protected:
  const fs::path& folder() const { return scratch_.path(); }
  fs::path path(const std::string& name) const { return scratch_ / name; }

 private:
  ScratchFolder scratch_;
};

/// "65: text" of the nibble error that `action` throws; "nothing thrown" where it throws none.
/// A text of more than one line is marked.
template <class F>
std::string thrown(F action) {
  try {
    action();
  } catch (const Error& e) {
    const std::string text = e.what();
    return cat(static_cast<int>(e.code()), ": ", text,
               text.find('\n') == std::string::npos ? "" : " (more than one line)");
  }
  return "nothing thrown";
}

}  // namespace nibble::test
