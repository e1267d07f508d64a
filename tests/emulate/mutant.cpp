// SPDX-License-Identifier: Apache-2.0
// NIBBLE_MUTANT=N makes mutation N act; NIBBLE_MUTANTS_REACHED=FILE writes for each test that
// passed a line: its name, the seconds of the processor that it took, and the numbers that it
// reached.
#include <emulate/mutant.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace nibble::emulate {
namespace {

constexpr int kMost = 1 << 14;

struct Mutants {
  int acting = -1;
  bool reached[kMost] = {};

  Mutants() {
    if (const char* text = getenv("NIBBLE_MUTANT")) acting = atoi(text);
  }
};
Mutants mutants;

}  // namespace

void end_test(const char* name, bool passed) {
  static FILE* const file = [] {
    const char* path = getenv("NIBBLE_MUTANTS_REACHED");
    return path == nullptr ? nullptr : fopen(path, "w");
  }();
  if (file == nullptr) return;
  static clock_t before = 0;
  const clock_t now = clock();
  if (passed) {
    fprintf(file, "%s %.3f", name, static_cast<double>(now - before) / CLOCKS_PER_SEC);
    for (int i = 0; i < kMost; ++i) {
      if (mutants.reached[i]) fprintf(file, " %d", i);
    }
    fprintf(file, "\n");
    fflush(file);
  }
  for (bool& reached : mutants.reached) reached = false;
  before = clock();
}

bool mutated(int id) {
  if (id < kMost && !mutants.reached[id]) mutants.reached[id] = true;
  return id == mutants.acting;
}

}  // namespace nibble::emulate
