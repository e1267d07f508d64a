// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace nibble {
namespace {

template <class T>
T parse_number(const std::string& text, const char* what) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) throw UsageError(cat("\"", text, "\" is too large"));
  if (error != std::errc() || at != end || text.empty())
    throw UsageError(cat("\"", text, "\" is not ", what));
  return value;
}

template <class T>
OptionTable::Target bind_number(T& target, const char* what) {
  return {.set = [&target, what](const std::string& s) { target = parse_number<T>(s, what); },
          .get = [&target] { return cat(target); }};
}

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kSizeUnits[] = {{"", 1},         {"B", 1},        {"kB", 1e3},     {"KB", 1e3},
                               {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},    {"KiB", 0x1p10},
                               {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"K", 0x1p10},
                               {"M", 0x1p20},   {"G", 0x1p30},   {"T", 0x1p40}};
constexpr Unit kCountUnits[] = {{"", 1},    {"k", 1e3}, {"K", 1e3},
                                {"M", 1e6}, {"G", 1e9}, {"B", 1e9}};

template <size_t kUnits>
double parse_with_unit(std::string_view text, const Unit (&units)[kUnits], const char* what) {
  double number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(at, static_cast<size_t>(text.data() + text.size() - at));
  if (error == std::errc() && std::isfinite(number) && number >= 0)
    for (const Unit& u : units)
      if (u.name == unit && number * u.factor < 0x1p62) return number * u.factor;
  throw UsageError(cat("\"", text, "\" is not ", what));
}

}  // namespace

Size parse_size(std::string_view text) {
  return {static_cast<uint64_t>(
      parse_with_unit(text, kSizeUnits, "a size such as 512MiB, 24GiB or 16GB"))};
}

Count parse_count(std::string_view text) {
  const double value = parse_with_unit(text, kCountUnits, "a count such as 4096, 10k or 2M");
  if (value != std::floor(value)) throw UsageError(cat("\"", text, "\" is not a whole number"));
  return {static_cast<int64_t>(value)};
}

std::string exact_size(uint64_t bytes) {
  std::string best = cat(bytes);
  uint64_t least = bytes;
  for (const Unit& u : kSizeUnits) {
    const auto factor = static_cast<uint64_t>(u.factor);
    if (!u.name.ends_with("B") || bytes % factor != 0 || bytes / factor >= least) continue;
    least = bytes / factor;
    best = cat(least, u.name);
  }
  return best;
}

std::string format_size(uint64_t bytes) {
  static constexpr std::string_view kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kNames)) {
    value /= 1024;
    ++unit;
  }
  const bool fraction = unit > 0 && value < 100;
  const double rounded = fraction ? std::round(value * 10) / 10 : std::round(value);
  return cat(rounded, " ", kNames[unit]);
}

void OptionTable::Entry::assign(const std::string& text) {
  const auto fail = [&](const std::string& fault) {
    throw UsageError(cat(is_positional ? value_name : "--" + name, ": ", fault, "; see --help"));
  };
  if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
    std::string all;
    for (const std::string& c : choices) all += (all.empty() ? "" : ", ") + c;
    fail(cat("\"", text, "\" is not one of ", all));
  }
  if (text.empty() && (is_required || is_output)) fail("its value is empty");
  try {
    target.set(text);
  } catch (const UsageError& error) {
    fail(error.what());
  }
  if (std::isfinite(low) || std::isfinite(high)) {
    // Counts and sizes read back with their unit resolved.
    const std::string now = target.get();
    double value = 0;
    std::from_chars(now.data(), now.data() + now.size(), value);
    if (!(value >= low && value <= high))
      fail(std::isfinite(high) ? cat(text, " is outside ", low, " to ", high)
                               : cat(text, " is below ", low));
  }
  words.push_back(text);
  given = true;
}

std::string OptionTable::Entry::label() const {
  if (is_positional) return value_name;
  if (is_flag) return is_negatable ? cat("--[no-]", name) : "--" + name;
  return bare_allowed ? cat("--", name, "[=", value_name, "]") : cat("--", name, "=", value_name);
}

const OptionTable::Entry* OptionTable::Impl::find(std::string_view name) const {
  for (const auto& e : entries)
    if (!e->is_positional && e->name == name) return e.get();
  return nullptr;
}

OptionTable::OptionTable() : impl_(std::make_unique<Impl>()) {}
OptionTable::~OptionTable() = default;

void OptionTable::group(std::string title) {
  impl_->current_group = std::move(title);
}

OptionTable::Entry& OptionTable::add_entry(std::string name, std::string value_name, Target target,
                                           std::string help) {
  CHECK(name.empty() || !impl_->find(name));
  auto entry = std::make_unique<Entry>();
  entry->name = std::move(name);
  entry->value_name = std::move(value_name);
  entry->help = std::move(help);
  entry->group = impl_->current_group;
  entry->default_text = target.get();
  entry->is_list = target.list;
  entry->is_flag = target.flag;
  entry->target = std::move(target);
  return *impl_->entries.emplace_back(std::move(entry));
}

OptionTable::Ref OptionTable::flag(std::string name, bool& target, std::string help) {
  const Target t = {.set = [&target](const std::string& s) { target = s != "false"; },
                    .get = [&target] { return std::string(target ? "true" : "false"); },
                    .flag = true};
  return Ref(add_entry(std::move(name), "", t, std::move(help)));
}

OptionTable::Ref OptionTable::negatable(std::string name, bool& target, std::string help) {
  CHECK(!name.starts_with("no-"));
  flag(std::move(name), target, std::move(help));
  Entry& entry = *impl_->entries.back();
  entry.is_negatable = true;
  return Ref(entry);
}

OptionTable::Ref OptionTable::positional(std::string value_name, std::string& target,
                                         std::string help) {
  Entry& entry = add_entry("", std::move(value_name), bind(target), std::move(help));
  entry.is_positional = true;
  return Ref(entry);
}
OptionTable::Ref OptionTable::positional(std::string value_name, std::vector<std::string>& target,
                                         std::string help) {
  Entry& entry = add_entry("", std::move(value_name), bind_texts(target), std::move(help));
  entry.is_positional = true;
  return Ref(entry);
}

OptionTable::Ref OptionTable::out(std::string& target, std::string help) {
  Ref ref = add("out", "PATH", target, std::move(help));
  impl_->entries.back()->is_output = true;  // an unset variable is no standard output
  return ref.short_name('o');
}

bool OptionTable::given(std::string_view name) const {
  const Entry* entry = impl_->find(name);
  return entry && entry->given;
}

std::vector<std::pair<std::string, std::string>> OptionTable::settings() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& e : impl_->entries)
    if (!e->is_positional && !e->is_hidden) out.emplace_back(e->name, e->target.get());
  return out;
}

OptionTable::Target OptionTable::bind(std::string& target) {
  return {.set = [&target](const std::string& s) { target = s; },
          .get = [&target] { return target; }};
}
OptionTable::Target OptionTable::bind_texts(std::vector<std::string>& target) {
  return {.set = [&target](const std::string& s) { target.push_back(s); },
          .get = bind(target).get,
          .list = true};
}
OptionTable::Target OptionTable::bind(int64_t& target) {
  return bind_number(target, "a whole number");
}
OptionTable::Target OptionTable::bind(int& target) {
  return bind_number(target, "a whole number");
}
OptionTable::Target OptionTable::bind(uint64_t& target) {
  return bind_number(target, "a whole number from 0");
}
OptionTable::Target OptionTable::bind(double& target) {
  return bind_number(target, "a number");
}
OptionTable::Target OptionTable::bind(Size& target) {
  return {.set = [&target](const std::string& s) { target = parse_size(s); },
          .get = [&target] { return exact_size(target.bytes); }};
}
OptionTable::Target OptionTable::bind(Count& target) {
  return {.set = [&target](const std::string& s) { target = parse_count(s); },
          .get = [&target] { return cat(target.value); }};
}
OptionTable::Target OptionTable::bind(std::vector<std::string>& target) {
  return {.set =
              [&target, first = true](const std::string& s) mutable {
                if (first) target.clear();  // the default gives way to what the user lists
                first = false;
                for (size_t at = 0; at <= s.size();) {
                  const size_t comma = std::min(s.find(',', at), s.size());
                  if (comma > at) target.push_back(s.substr(at, comma - at));
                  at = comma + 1;
                }
              },
          .get =
              [&target] {
                std::string out;
                for (const std::string& s : target) out += (out.empty() ? "" : ",") + s;
                return out;
              },
          .list = true};
}

OptionTable::Ref& OptionTable::Ref::range(double low, double high) {
  entry_->low = low;
  entry_->high = high;
  return *this;
}
OptionTable::Ref& OptionTable::Ref::choices(std::vector<std::string> allowed) {
  entry_->choices = std::move(allowed);
  return *this;
}
OptionTable::Ref& OptionTable::Ref::also(std::vector<std::string> foreign_names) {
  entry_->foreign_names = std::move(foreign_names);
  return *this;
}
OptionTable::Ref& OptionTable::Ref::short_name(char letter) {
  entry_->letter = letter;
  return *this;
}
OptionTable::Ref& OptionTable::Ref::required() {
  entry_->is_required = true;
  return *this;
}
OptionTable::Ref& OptionTable::Ref::optional_value(std::string when_bare) {
  entry_->bare_allowed = true;
  entry_->when_bare = std::move(when_bare);
  return *this;
}
OptionTable::Ref& OptionTable::Ref::default_is(std::string text) {
  entry_->default_text = std::move(text);
  return *this;
}
OptionTable::Ref& OptionTable::Ref::hidden() {
  entry_->is_hidden = true;
  return *this;
}

}  // namespace nibble
