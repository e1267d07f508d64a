// SPDX-License-Identifier: Apache-2.0
// NIBBLE_MUTANT=N makes mutation N act; NIBBLE_MUTANTS_REACHED=FILE writes at the end the numbers
// of those that were reached, a line each.
#include <emulate/mutant.h>

#include <cstdio>
#include <cstdlib>

namespace nibble::emulate {
namespace {

constexpr int kMost = 1 << 14;

struct Mutants {
  int acting = -1;
  bool reached[kMost] = {};

  Mutants() {
    if (const char* text = getenv("NIBBLE_MUTANT")) acting = atoi(text);
  }
  ~Mutants() {
    const char* path = getenv("NIBBLE_MUTANTS_REACHED");
    FILE* file = path == nullptr ? nullptr : fopen(path, "w");
    if (file == nullptr) return;
    for (int i = 0; i < kMost; ++i) {
      if (reached[i]) fprintf(file, "%d\n", i);
    }
    fclose(file);
  }
};
Mutants mutants;

}  // namespace

bool mutated(int id) {
  if (id < kMost && !mutants.reached[id]) mutants.reached[id] = true;
  return id == mutants.acting;
}

}  // namespace nibble::emulate
