// SPDX-License-Identifier: Apache-2.0
#include "score/ptb_rules.h"

#include <utf8proc.h>

#include <iterator>

namespace nibble {
namespace {

constexpr LexerName kNames[] = {
    // Markup and entities.
    {"tag name", R"([A-Za-z][A-Za-z0-9_:.\-]*)"},
    {"tag", R"(<([!?][A-Za-z\-][^>\r\n]*|{tag name}([ ]+({tag name}|{tag name}[ ]*=[ ]*('[^']*')"
            R"(|"[^"]*")))*[ ]*/?|/{tag name})[ ]*>)"},
    {"dash", R"(&(MD|mdash|ndash);|[\u0096\u0097\u2013\u2014\u2015])"},
    {"amp", "&amp;"},
    {"mark", "&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);"},
    {"accented", "&[aeiouAEIOU](acute|grave|uml);"},
    // White space.
    {"space", R"([ \t\u00A0\u2000-\u200A\u3000])"},
    {"line", R"(\r|\r?\n|\u2028|\u2029|\v|\f|\u0085)"},
    {"gap", "{space}|{line}"},
    {"sentence end", "{gap}({gap}|{upper}|{tag})"},
    // Numbers.
    {"num", R"({digit}+|{digit}*([.:,\u00AD\u066B\u066C]{digit}+)+)"},
    {"number", "[-+]?{num}"},
    {"date", "{digit}{1,2}[-/]{digit}{1,2}[-/]{digit}{2,4}"},
    {"raised",
     R"([\u207A\u207B\u208A\u208B]?([\u2070\u00B9\u00B2\u00B3\u2074-\u2079]+|[\u2080-\u2089]+))"},
    {"fraction", R"(({digit}{1,4}[- \u00A0])?{digit}{1,4}(\\?/|\u2044){digit}{1,4})"},
    {"phone",
     R"((\([0-9]{2,3}\)[ \u00A0]?)"
     R"(|(\+\+?)?([0-9]{2,4}[- \u00A0])?[0-9]{2,4}[- \u00A0])[0-9]{3,4}[- \u00A0]?[0-9]{3,5})"
     R"(|((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})"},
    // Abbreviations: those that lower case words follow (before capitals they end a sentence) ...
    {"day or month",
     "Mon|Tue|Tues|Wed|Thu|Thurs|Fri|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"},
    {"state",
     "Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|Md|[M]ass|"
     "Mich|"
     "Minn|[M]iss|Mo|Mont|Neb|Nev|Okla|[O]re|[P]a|Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo"},
    {"company", "Assn|Bancorp|Bhd|Corp|Cos?|Inc|Intl|Ltd|Plc|Pp?t[ye]s?|Rt|Sys|Univ"},
    {"after names", R"((Ed|Ph)\.D|Blvd|Bros|Esq|Jr|Rd|Sr)"},
    {"abbreviation 1",
     R"(({day or month}|{state}|{company}|{after names}|al|bldg|est|etc|ext|seq|sq|tel)\.)"},
    // ... those before names ...
    {"of states", R"((Canada|EU|Japan|Korean|Sino|non)-U\.S|U\.S\.-(U\.K|U\.S\.S\.R))"},
    {"acronym", R"([A-Za-z](\.[A-Za-z])*|{of states})"},
    {"acronym 2", R"([A-Za-z](\.[A-Za-z])+|{of states})"},
    {"title",
     "Adj|Adm|Adv|Asst|Assoc|Attys?|Ave|Brig|Capt|Co?mdr|Col|Cpl|Det|Drs?|Ens|Ft|Gen|Govs?|Hon|"
     "Insp|"
     "Lieut|Lt|Maj|Messrs|[M]iss|Mlle|Mme|Mrs?|Ms|Msgr|Mt|Pfc|Pres|Profs?|Pvt|Reps?|Rev|Sens?|Sfc|"
     "Sgt|"
     "Spc|Ste?|Supts?"},
    {"abbreviation 2",
     R"({title}|{acronym}|a\.k\.a|Alex|cf|Cie|Dept|Elec|Invt|Jos|M[ft]g|Natl|Ph|TREAS|vs|Wm)"},
    // ... and those before numbers.
    {"abbreviation 3", R"((art|bldg|ca|figs?|nos?|op|pp|prop)\.)"},
    // Words.
    // Marks and modifiers that stand within words and are no letters to Unicode.
    {"mark in word",
     R"([\u00AD\u02C2-\u0379\u0384\u0385\u03F6\u0483-\u0487\u055A-\u055F\u0591-\u05BD\u05BF)"
     R"(\u05C1\u05C2\u05C4\u05C5\u05C7\u0615-\u061A\u064B-\u065E\u0670\u06D6-\u06ED)"
     R"(\u06FD\u06FE\u070F-\u07B0\u07EB-\u07F3\u0900-\u0903\u093C-\u094E\u0951-\u0955)"
     R"(\u0962\u0963\u0981-\u0983\u09BC-\u09C4\u09C7\u09C8\u09CB-\u09CD\u09D7\u09E2\u09E3)"
     R"(\u0A01-\u0A03\u0A3C\u0A3E-\u0A4F\u0A81-\u0A83\u0ABC-\u0ACF\u0B82\u0BBE-\u0BC2)"
     R"(\u0BC6-\u0BC8\u0BCA-\u0BCD\u0C01-\u0C03\u0C3E-\u0C56\u0D3E-\u0D44\u0D46-\u0D48)"
     R"(\u0E31-\u0E3A\u0E47-\u0E4E\u0EB1-\u0EBC\u0EC8-\u0ECD])"},
    {"in word", "{letter}|{accented}|{mark in word}"},
    {"word", "({in word})({in word}|{digit})*([.!?]({in word})({in word}|{digit})*)*"},
    {"file",
     R"(({in word}|{digit})+(\.({in word}|{digit})+)*\.(bat|bmp|c|class|cgi|cpp|dll|doc|docx)"
     R"(|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt)"
     R"(|wav|x|xml|zip))"},
    {"apos", R"(['\u0092\u2019]|&apos;)"},
    {"apos etc", R"({apos}|[`\u0091\u2018\u201B])"},
    {"short", "[dDoOlL]({apos etc})({letter}|{digit})"},
    {"thing",
     R"(({short})?({letter}|{digit})+([-_\u058A\u2010\u2011]({short})?({letter}|{digit})+)*)"},
    {"joined", "[A-Z]+(([+&]|{amp})[A-Z]+)+"},
    {"either", R"([A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\?/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2})"},
    {"hyphenated", R"([A-Za-z0-9][A-Za-z0-9.,\u00AD]*(-([A-Za-z0-9\u00AD]+|({acronym 2})\.))+)"},
    {"shortened", "({apos})([msdMSD]|re|ve|ll)"},
    {"not n", R"([A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*)"},
    {"not", "n({apos etc})t"},
    {"with apos",
     R"(({apos})n({apos})?|[lLdDjJ]({apos})|Dunkin({apos})|somethin({apos})|ol({apos}))"
     R"(|({apos})em|[A-HJ-XZn]({apos etc}){letter}{2}{letter}*|({apos})[2-9]0s|({apos})till?)"
     R"(|{letter}{letter}*[aeiouyAEIOUY]({apos etc})[aeiouA-Z]{letter}*|({apos})cause)"
     R"(|cont'd\.?|'twas|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l|O({apos etc})o)"},
    // Addresses.
    {"url", R"(https?://[^ \t\n\f\r"<>|(){}]+[^ \t\n\f\r"<>|.!?(){},-])"},
    {"likely url",
     R"((www\.([^ \t\n\f\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}|([^ \t\n\f\r"`'<>)"
     R"(|.!?(){},-_$]+\.)+(com|net|org|edu))(/[^ \t\n\f\r"<>|()]+[^ \t\n\f\r"<>|.!?(){},-])?)"},
    {"mail", R"((&lt;|<)?[a-zA-Z0-9][^ \t\n\f\r"<>|()\u00A0{}]*@([^ \t\n\f\r"<>)"
             R"(|(){}.\u00A0]+\.)*([^ \t\n\f\r"<>|(){}.\u00A0]+)(&gt;|>)?)"},
    {"handle", "@[a-zA-Z_][a-zA-Z_0-9]*|#({in word})+"},
    // Signs.
    {"dots", R"(\.{3,5}|[\u0085\u2026])"},
    {"spaced dots", R"((\.[ \u00A0]){2,4}\.)"},
    {"in sentence", R"([,;:\u3001])"},
    {"quotes", R"({apos}|''|[`\u2018-\u201F\u0091-\u0094\u2039\u203A\u00AB\u00BB]{1,2})"},
    {"double quote", R"("|&quot;)"},
    {"treebank", R"(-(RRB|LRB|RCB|LCB|RSB|LSB)-|C\.D\.s|pro-|anti-|S(&|&amp;)P-500|S(&|&amp;)Ls)"
                 R"(|Cap({apos})n|c({apos})est)"},
    {"smiley", R"([<>]?[:;=][-o*']?[\(\)DPdpO\\{@|\[\]])"},
    {"smiley 2",
     R"([\^x=~<>]\.\[\^x=[^<]*<>\]|[-\^x=~<>']_[-\^x=~<>']|\([-\^x=~<>'][_.]?[-\^x=~<>']\))"
     R"(|\([\^x=~<>']-[\^x=~<>'`]\))"},
    {"symbol",
     R"([+%&~\^|\\\u00A6\u00A7\u00A8\u00A9\u00AC\u00AE\u00AF\u00B0-\u00BA\u00D7\u00F7\u0387)"
     R"(\u05BE\u05C0\u05C3\u05C6\u05F3\u05F4\u0600-\u0603\u0606-\u060A\u060C\u0614\u061B\u061E)"
     R"(\u066A\u066D\u0703-\u070D\u07F6\u07F7\u07F8\u0964\u0965\u0E4F\u1FBD\u2016\u2017\u2020-)"
     R"(\u2023\u2030-\u2038\u203B\u203E-\u2042\u2044\u207A-\u207F\u208A-\u208E\u2100-\u214F)"
     R"(\u2190-\u2BFF\u3012\u30FB\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65])"},
    {"after acronym",
     R"([A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e)"
     R"(|[H]er|[H]ere|[H]owever|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\.|[M]s\.|[N]ow|[O]nce)"
     R"(|[O]ne|[O]ther|[O]ur|[S]he|[S]ince|[S]o|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen)"
     R"(|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen|[W]hile|[W]hat|[Y]et|[Y]ou|{tag})"},
};

using enum PtbAction;
constexpr int to_int(PtbAction a) {
  return static_cast<int>(a);
}
#define RULE(action, ...) \
  { to_int(action), __VA_ARGS__ }

constexpr LexerRule kRules[] = {
    RULE(kText, R"(c\+\+|(c|f)#)"),
    RULE(kSplitBefore3, "cannot|'twas"),
    RULE(kSplitBefore2, "'tis|gonna|gotta|lemme|gimme|wanna"),
    RULE(kNoSpaces, "{tag}"),
    RULE(kDash, "{dash}"),
    RULE(kAmpersand, "{amp}"),
    RULE(kText, "{mark}"),
    RULE(kNoSoftHyphens, "{word}", "{shortened}"),
    RULE(kNoSoftHyphens, "{not n}", "{not}"),
    RULE(kNoSoftHyphens, "{word}"),
    RULE(kText, "{with apos}"),
    RULE(kText, "y({apos})", "{letter}"),
    RULE(kText, "{url}"),
    RULE(kText, "{likely url}"),
    RULE(kText, "{mail}"),
    RULE(kText, "{handle}"),
    RULE(kClosing, "{shortened}", "[^A-Za-z]"),
    RULE(kClosing, "{not}", "[^A-Za-z]"),
    RULE(kText, "{date}"),
    RULE(kNoSoftHyphens, "{number}"),
    RULE(kText, "{raised}"),
    RULE(kNoSpaces, "{fraction}"),
    RULE(kFraction, R"([\u00BC\u00BD\u00BE\u2153-\u215E])"),
    RULE(kAmpersand, "{treebank}"),
    RULE(kText, "{either}"),
    RULE(kText, R"([A-Z]*\$|#)"),
    RULE(kCurrency,
         R"([\u0080\u00A2-\u00A5\u20A0\u20AC\u060B\u0E3F\u20A4\uFFE0\uFFE1\uFFE5\uFFE6])"),
    RULE(kAcronymEndsSentence, R"(({acronym})\.)", "({gap})+({after acronym}){gap}"),
    RULE(kText, "{abbreviation 3}", "({gap})?{digit}"),
    RULE(kText, R"((pt[eyEY]|co)\.)", "{space}(ltd|lim)"),
    RULE(kEndsSentence, "{abbreviation 1}", "{sentence end}"),
    RULE(kText, "{abbreviation 1}", "[^][^]"),
    RULE(kEndsSentence, "{abbreviation 1}"),
    RULE(kText, R"(({abbreviation 2})\.)"),
    RULE(kText, "{abbreviation 2}", "{space}"),
    RULE(kText, "{acronym}", "{gap}"),
    RULE(kText, "({apos})[0-9][0-9]", "{gap}"),
    RULE(kText, "{file}", R"({gap}|[.?!,])"),
    RULE(kNoSoftHyphens, R"(({word})\.)", "{in sentence}"),
    RULE(kPhone, "{phone}"),
    RULE(kOpening, "{double quote}", "[A-Za-z0-9$]"),
    RULE(kClosing, "{double quote}"),
    RULE(kSkip, R"(\u007F)"),
    RULE(kLess, "<|&lt;"),
    RULE(kGreater, ">|&gt;"),
    RULE(kNoParentheses, "{smiley}", "[^A-Za-z0-9]"),
    RULE(kNoParentheses, "{smiley 2}"),
    RULE(kOpenCurly, R"(\{)"),
    RULE(kCloseCurly, R"(\})"),
    RULE(kOpenSquare, R"(\[)"),
    RULE(kCloseSquare, R"(\])"),
    RULE(kOpenRound, R"(\()"),
    RULE(kCloseRound, R"(\))"),
    RULE(kHyphens, "-+"),
    RULE(kEllipsis, "{dots}|{spaced dots}"),
    RULE(kText, "@+|#+|_+"),
    RULE(kText, R"(\*+|(\\\*){1,3})"),
    RULE(kText, "{in sentence}"),
    RULE(kText, "[?!]+"),
    RULE(kText, R"([.\u00A1\u00BF\u037E\u0589\u061F\u06D4\u0700-\u0702\u07FA\u3002])"),
    RULE(kText, "="),
    RULE(kText, "/"),
    RULE(kNoSoftHyphens, R"(({hyphenated})\.)", "{in sentence}"),
    RULE(kNoSoftHyphens, "{hyphenated}"),
    RULE(kText, R"(({thing})\.)", "{in sentence}"),
    RULE(kText, "{thing}"),
    RULE(kAmpersand, R"(({joined})\.)", "{in sentence}"),
    RULE(kAmpersand, "{joined}"),
    RULE(kOpening, "'", R"([A-Za-z][^ \t\n\r\u00A0])"),
    RULE(kClosing, "{shortened}"),
    RULE(kClosing, "{not}"),
    RULE(kClosing, "{quotes}"),
    RULE(kText, "<<|>>"),
    RULE(kText, "{symbol}"),
    RULE(kSkip, R"(\0|{space}+|[\u200B\u200E\u200F\uFEFF])"),
    RULE(kLine, "{line}"),
    RULE(kSkip, "&nbsp;"),
    RULE(kSkip, R"([^\n\r])"),
};
#undef RULE

// Letters, capitals and digits are those of Unicode 6.1: what came later is not text to the lexer.
// From Unicode's DerivedAge.txt.
constexpr UnitSet::value_type kLater[] = {
    {0x037F, 0x037F}, {0x0528, 0x052F}, {0x0560, 0x0560}, {0x0588, 0x0588}, {0x05EF, 0x05EF},
    {0x0860, 0x088E}, {0x08A1, 0x08A1}, {0x08AD, 0x08C9}, {0x0978, 0x0978}, {0x0980, 0x0980},
    {0x09FC, 0x09FC}, {0x0AF9, 0x0AF9}, {0x0C34, 0x0C34}, {0x0C5A, 0x0C5D}, {0x0C80, 0x0C80},
    {0x0CDD, 0x0CDD}, {0x0D04, 0x0D04}, {0x0D54, 0x0D5F}, {0x0DE6, 0x0DEF}, {0x0E86, 0x0E86},
    {0x0E89, 0x0E89}, {0x0E8C, 0x0E8C}, {0x0E8E, 0x0E93}, {0x0E98, 0x0E98}, {0x0EA0, 0x0EA0},
    {0x0EA8, 0x0EA9}, {0x0EAC, 0x0EAC}, {0x13F5, 0x13FD}, {0x16F1, 0x16F8}, {0x170D, 0x170D},
    {0x171F, 0x171F}, {0x1878, 0x1878}, {0x191D, 0x191E}, {0x19B0, 0x19C0}, {0x19C8, 0x19C9},
    {0x1B4C, 0x1B4C}, {0x1C80, 0x1CBF}, {0x1CF2, 0x1CF3}, {0x1CFA, 0x1CFA}, {0x2C2F, 0x2C2F},
    {0x2C5F, 0x2C5F}, {0x312E, 0x312F}, {0x31BB, 0x31BF}, {0x4DB6, 0x4DBF}, {0x9FCD, 0x9FFF},
    {0xA698, 0xA69D}, {0xA78F, 0xA78F}, {0xA794, 0xA79F}, {0xA7AB, 0xA7F7}, {0xA8FD, 0xA8FE},
    {0xA9E0, 0xA9FE}, {0xAA7E, 0xAA7F}, {0xAB30, 0xABBF},
};

bool is_later(unsigned code) {
  for (const auto& [first, last] : kLater)
    if (code >= first && code <= last) return true;
  return false;
}

// Of the plane that one unit can express.
UnitSet units_where(auto&& wanted) {
  UnitSet set;
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    if (is_later(code) || !wanted(code, utf8proc_category(static_cast<utf8proc_int32_t>(code))))
      continue;
    const auto unit = static_cast<char16_t>(code);
    if (!set.empty() && set.back().second + 1u == code)
      set.back().second = unit;
    else
      set.emplace_back(unit, unit);
  }
  return set;
}

}  // namespace

Lexer make_ptb_lexer() {
  const std::pair<std::string_view, UnitSet> sets[] = {
      {"letter", units_where([](unsigned code, utf8proc_category_t c) {
         return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) || code == 0x1885 ||
                code == 0x1886;
       })},
      {"upper", units_where([](unsigned code, utf8proc_category_t c) {
         return (c == UTF8PROC_CATEGORY_LU && !(code >= 0x13A0 && code <= 0x13F5)) ||
                (code >= 0x2160 && code <= 0x216F) || (code >= 0x24B6 && code <= 0x24CF);
       })},
      {"digit",
       units_where([](unsigned, utf8proc_category_t c) { return c == UTF8PROC_CATEGORY_ND; })},
  };
  return Lexer(sets, kNames, kRules);
}

std::span<const LexerRule> ptb_rules() {
  return kRules;
}

}  // namespace nibble
