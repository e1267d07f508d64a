// SPDX-License-Identifier: Apache-2.0
#include "data/show_samples.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr std::string_view kReset = "\x1b[0m", kDim = "\x1b[2m", kWarn = "\x1b[1m";

std::string_view style(const Piece& p) {
  if (p.trained) return p.special ? "\x1b[1;7;38;5;208m" : "\x1b[1;38;5;208m";
  return p.special ? "\x1b[7m" : "";
}

// Characters that move or hide others: controls by their pictures, the rest by their number.
void append_visible(std::string& out, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = read_utf8(text, at);
    const std::string_view bytes = text.substr(at, static_cast<size_t>(c.size));
    at += bytes.size();
    if (c.code == kInvalidCode) {
      append_utf8(out, 0xFFFD);
    } else if (c.code == '\n') {
      out += "↵\n";
    } else if (c.code < 0x20) {
      append_utf8(out, 0x2400 + c.code);
    } else if (c.code == 0x7f) {
      append_utf8(out, 0x2421);
    } else if ((c.code >= 0x80 && c.code < 0xa0) || (c.code >= 0x200b && c.code <= 0x200f) ||
               (c.code >= 0x2028 && c.code <= 0x202e) || (c.code >= 0x2060 && c.code <= 0x206f) ||
               c.code == 0xfeff) {
      char number[16];
      std::snprintf(number, sizeof number, "\\u%04x", static_cast<unsigned>(c.code));
      out += number;
    } else {
      out += bytes;
    }
  }
}

void append_colored(std::string& out, const std::vector<Piece>& pieces) {
  for (const Piece& p : pieces) {
    // A style ends with its line, so that a pager may begin anywhere.
    std::string text;
    append_visible(text, p.text);
    const std::string_view on = style(p);
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      if (end > at) out += cat(on, text.substr(at, end - at), on.empty() ? "" : kReset);
      if (end < text.size()) out += '\n';
      at = end + 1;
    }
  }
}

void append_plain(std::string& out, const std::vector<Piece>& pieces) {
  bool open = false;
  for (const Piece& p : pieces) {
    if (p.trained != open) out += p.trained ? "⟦" : "⟧";
    open = p.trained;
    if (p.special) out += "‹";
    append_visible(out, p.text);
    if (p.special) out += "›";
  }
  if (open) out += "⟧";
}

std::string percent(int64_t part, int64_t whole) {
  char text[16];
  const double share = whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  std::snprintf(text, sizeof text, "%.1f%%", 100 * share);
  return text;
}

}  // namespace

bool wants_color(std::string_view choice) {
  if (choice != "auto") return choice == "always";
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && !(no_color && *no_color) &&
         !(term && std::string_view(term) == "dumb");
}

std::string show_sample(const std::string& place, const Sample& sample, bool color) {
  const bool tokens = !sample.ids.empty();
  std::string head = "── ";
  append_visible(head, place);
  if (!sample.side.empty()) head += cat(", ", sample.side);
  if (sample.desirable) head += *sample.desirable ? ", desirable" : ", undesirable";
  head +=
      cat(": ", sample.length(), tokens ? " tokens, " : " characters, ", sample.trained_length(),
          " trained on (", percent(sample.trained_length(), sample.length()), ")");
  std::string out = color ? cat(kDim, head, kReset, "\n") : head + "\n";
  if (color)
    append_colored(out, sample.pieces);
  else
    append_plain(out, sample.pieces);
  if (!out.ends_with('\n')) out += '\n';
  for (const Mistake m : sample.mistakes) {
    const std::string line = cat("! ", mistake_title(m), ": ", mistake_remedy(m));
    out += color ? cat(kWarn, line, kReset, "\n") : line + "\n";
  }
  return out + "\n";
}

Json sample_json(const std::string& place, const Sample& sample) {
  Json out = Json::object({{"place", place}});
  if (!sample.side.empty()) out.set("side", sample.side);
  if (sample.desirable) out.set("label", *sample.desirable);
  out.set(sample.ids.empty() ? "characters" : "tokens", sample.length());
  out.set("trained", sample.trained_length());
  Json::Array pieces, warnings;
  for (const Piece& p : sample.pieces)
    pieces.push_back(
        Json::object({{"label", p.trained}, {"special", p.special}, {"text", p.text}}));
  if (!pieces.empty()) out.set("segments", Json(std::move(pieces)));
  if (!sample.ids.empty()) {
    Json::Array ids, labels;
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      ids.emplace_back(int64_t{sample.ids[i]});
      labels.emplace_back(sample.trained[i] ? int64_t{sample.ids[i]} : int64_t{-100});
    }
    out.set("input_ids", Json(std::move(ids)));
    out.set("labels", Json(std::move(labels)));
  }
  for (const Mistake m : sample.mistakes) warnings.emplace_back(mistake_name(m));
  out.set("warnings", Json(std::move(warnings)));
  return out;
}

ShowRange parse_show_range(std::string_view text) {
  const auto fail = [&] {
    throw UsageError(cat("--show=", text, ": of training data the first examples are shown, as in ",
                         "--show=5, or some, as in --show=7-9"));
  };
  const auto parse = [&](std::string_view part) {
    int64_t n = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), n);
    if (error != std::errc() || end != part.data() + part.size() || n < 1) fail();
    return n;
  };
  if (text.empty()) return {};
  const size_t dash = text.find('-');
  if (dash == text.npos) return {1, parse(text)};
  const ShowRange range = {parse(text.substr(0, dash)), parse(text.substr(dash + 1))};
  if (range.last < range.first) fail();
  return range;
}

void show_file(const std::string& path, const SampleRules& rules, const ShowRange& range,
               bool color, bool json, BadRecords& bad,
               const std::function<void(std::string_view)>& sink) {
  int64_t number = 0;
  read_samples(path, rules, bad, [&](const SampleRecord& record) {
    for (const Sample& sample : record.samples) {
      if (++number < range.first) continue;
      if (number > range.last) return false;
      if (sample.pieces.empty() && !json)
        throw UsageError(cat(path,
                             ": holds token ids; give --model=DIR, whose tokenizer made "
                             "them, or --json"));
      sink(json ? sample_json(record.place, sample).dump() + "\n"
                : show_sample(record.place, sample, color));
    }
    return number < range.last;
  });
  if (number < range.first)
    throw DataError(cat(path, ": holds ", number, " examples, none of those asked for"));
}

}  // namespace nibble
