// SPDX-License-Identifier: Apache-2.0
// What scripts/mutate-kernels writes into copies of the kernels: every mutation is compiled in, and
// NIBBLE_MUTANT chooses the one that acts. `a < Switch{id} < b` is a < b, or a <= b where it acts,
// and so on for the other three; operators keep their precedence.
#pragma once

namespace nibble::emulate {

/// Whether mutation `id` acts; keeps that the place was reached.
bool mutated(int id);
/// A test has ended: what it reached is written where that is wanted.
void end_test(const char* name, bool passed);
/// 1 where it acts, else 0: added to an index.
inline int shift(int id) {
  return mutated(id) ? 1 : 0;
}

struct Switch {
  int id;
};
template <class T, char kOperator>
struct Compared {
  T left;
  int id;
};
template <class T>
Compared<T, '<'> operator<(const T& a, Switch s) {
  return {a, s.id};
}
template <class T>
Compared<T, '>'> operator>(const T& a, Switch s) {
  return {a, s.id};
}
template <class T>
Compared<T, 'l'> operator<=(const T& a, Switch s) {
  return {a, s.id};
}
template <class T>
Compared<T, 'g'> operator>=(const T& a, Switch s) {
  return {a, s.id};
}
template <class T, class U>
bool operator<(const Compared<T, '<'>& c, const U& b) {
  return mutated(c.id) ? c.left <= b : c.left < b;
}
template <class T, class U>
bool operator>(const Compared<T, '>'>& c, const U& b) {
  return mutated(c.id) ? c.left >= b : c.left > b;
}
template <class T, class U>
bool operator<=(const Compared<T, 'l'>& c, const U& b) {
  return mutated(c.id) ? c.left < b : c.left <= b;
}
template <class T, class U>
bool operator>=(const Compared<T, 'g'>& c, const U& b) {
  return mutated(c.id) ? c.left > b : c.left >= b;
}

}  // namespace nibble::emulate
