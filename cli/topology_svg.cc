#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "cli/topology.h"

namespace multinet::cli {
namespace {

// Pixels.
constexpr int kMargin = 24;
constexpr int kRail = 30;             // between rails
constexpr int kLane = 9;              // between a column's vertical lines
constexpr int kBox = 250;             // a node's width
constexpr int kHead = 34;             // of a node, above its pods
constexpr int kRow = 16;              // a pod
constexpr int kGap = 26;              // between nodes of a column
constexpr int kDot = 12;              // between dots
constexpr int kTag = 20;              // a row of services below a rail
constexpr int kLetter = 7;            // of a service's name, at most on average
constexpr int kMostTagRows = 4;       // below one rail
constexpr std::size_t kLetters = 33;  // of a pod's name
/// A node with more rows shows workloads.
constexpr std::size_t kMostRows = 60;

// Told apart also by the colour-blind (Okabe and Ito), then again from the start.
constexpr std::array kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                 "#E69F00", "#56B4E9", "#6B4C9A", "#7F7F7F"};

std::string colourOf(std::size_t network) {
  return kColours.at(network % kColours.size());
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '<') {
      out += "&lt;";
    } else if (letter == '>') {
      out += "&gt;";
    } else if (letter == '&') {
      out += "&amp;";
    } else if (letter == '"') {
      out += "&quot;";
    } else if (static_cast<unsigned char>(letter) >= 0x20) {
      out += letter;
    }
  }
  return out;
}

std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  const std::size_t tail = most / 2;
  return text.substr(0, most - tail - 1) + "…" + text.substr(text.size() - tail);
}

/// A service, or those for which there is no room.
struct Tag {
  std::string label;
  std::string tip;
  std::size_t network = 0;
  bool ready = true;
  int x = 0;
  int row = 0;  // below its rail
  [[nodiscard]] int width() const { return 24 + static_cast<int>(label.size()) * kLetter; }
};

Tag tagOf(const Topology::Service& service) {
  std::string tip = service.name + (service.address.empty() ? "" : "\n" + service.address);
  if (!service.outside.empty()) tip += "\nfrom outside: " + service.outside;
  if (!service.ports.empty()) tip += "\n" + service.ports;
  tip += service.endpoints.empty() ? "\nno endpoints counted yet"
                                   : "\n" + service.endpoints + " ready/serving/terminating";
  const auto ready = service.endpoints.substr(0, service.endpoints.find('/'));
  return {shortened(service.name, 30) + (service.address.empty() ? "" : " " + service.address) +
              (ready.empty() ? "" : " (" + ready + " ready)"),
          tip,
          service.network,
          service.ready,
          0,
          0};
}

/// A pod, or all pods of a workload that have the same networks.
struct Row {
  std::string label;
  std::string tip;
  std::map<std::size_t, bool> networks;  // whether all are ready
  std::size_t pods = 1;
};

/// `default/web` of `default/web-5d4f9c7b8-x2x4z` and of `default/web-0`.
std::string workloadOf(const std::string& pod) {
  std::string stem = pod;
  for (int part = 0; part < 2; ++part) {
    const auto dash = stem.rfind('-');
    if (dash == std::string::npos || dash == 0) return stem;
    const std::string tail = stem.substr(dash + 1);
    const bool made = std::ranges::any_of(tail, [](char c) { return c >= '0' && c <= '9'; }) ||
                      (part == 0 && tail.size() == 5);
    if (!made) return stem;
    stem.resize(dash);
  }
  return stem;
}

std::vector<Row> rowsOf(const Topology& topology, const Topology::Node& node) {
  std::vector<Row> rows;
  for (const auto& pod : node.pods) {
    Row row{pod.name, pod.name, {}, 1};
    for (const auto& one : pod.interfaces) {
      const auto [entry, isNew] = row.networks.emplace(one.network, one.ready);
      if (!isNew) entry->second = entry->second && one.ready;
      row.tip += "\n" + one.name + " on " + topology.networks[one.network].name + ": " +
                 one.addresses + (one.ready ? "" : ", not ready");
    }
    rows.push_back(std::move(row));
  }
  if (rows.size() <= kMostRows) return rows;
  std::vector<Row> groups;
  for (const Row& row : rows) {
    const auto stem = workloadOf(row.label);
    const auto found = std::ranges::find_if(groups, [&](const Row& group) {
      return group.label == stem && group.networks == row.networks;
    });
    if (found == groups.end()) {
      groups.push_back({stem, row.label, row.networks, 1});
    } else {
      ++found->pods;
      found->tip += "\n" + row.label;
    }
  }
  return groups;
}

struct Box {
  const Topology::Node* node = nullptr;
  std::vector<Row> rows;
  std::set<std::size_t> networks;
  int x = 0;
  int y = 0;
  [[nodiscard]] int height() const { return kHead + static_cast<int>(rows.size()) * kRow + 10; }
};

class Picture {
 public:
  explicit Picture(const Topology& topology) : topology_(topology) { place(); }

  std::string run() {
    begin();
    rails();
    for (const Box& box : boxes_) lines(box);
    labels();
    for (const Tag& tag : tags_) draw(tag);
    for (const Box& box : boxes_) draw(box);
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  [[nodiscard]] int networks() const { return static_cast<int>(topology_.networks.size()); }
  [[nodiscard]] int railY(std::size_t number) const {
    return kMargin + 14 + static_cast<int>(number) * kRail + 8 + rowsAbove(number) * kTag;
  }
  /// Rows of services of the networks before this one.
  [[nodiscard]] int rowsAbove(std::size_t number) const {
    return std::accumulate(tagRows_.begin(), tagRows_.begin() + static_cast<std::ptrdiff_t>(number),
                           0);
  }
  [[nodiscard]] int laneX(const Box& box, std::size_t number) const {
    return box.x - 10 - (networks() - 1 - static_cast<int>(number)) * kLane;
  }

  /// Where the first column's boxes begin, and all labels.
  [[nodiscard]] int left() const { return kMargin + networks() * kLane + 14; }

  /// In rows below their rail; what a few rows don't hold is one tag.
  void placeTags() {
    tagRows_.assign(topology_.networks.size(), 0);
    std::vector<int> ends(topology_.networks.size(), left());
    std::vector<std::size_t> more(topology_.networks.size());
    for (const auto& service : topology_.services) {
      Tag tag = tagOf(service);
      const auto number = service.network;
      const int room = width_ - kMargin - (tagRows_[number] == kMostTagRows ? 90 : 0);
      if (tagRows_[number] == 0 || ends[number] + tag.width() > room) {
        if (tagRows_[number] == kMostTagRows) {
          ++more[number];
          continue;
        }
        ++tagRows_[number];
        ends[number] = left();
      }
      if (more[number] > 0) {  // in order, without a hole
        ++more[number];
        continue;
      }
      tag.x = ends[number];
      tag.row = tagRows_[number] - 1;
      ends[number] += tag.width() + 8;
      tags_.push_back(std::move(tag));
    }
    for (std::size_t number = 0; number < more.size(); ++number) {
      if (more[number] == 0) continue;
      tags_.push_back({"+ " + std::to_string(more[number]) + " more", "", number, true,
                       ends[number], tagRows_[number] - 1});
    }
  }

  /// Columns of even height: each box goes to the shortest.
  void place() {
    const auto count = topology_.nodes.size();
    const auto columns = std::clamp<std::size_t>(
        static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count) * 1.7))), 1, 8);
    const int pitch = networks() * kLane + 24 + kBox;
    const auto used = static_cast<int>(std::min(columns, std::max<std::size_t>(count, 1)));
    width_ = std::max(720, left() + (used - 1) * pitch + kBox + kMargin);
    placeTags();
    const int top = kMargin + networks() * kRail + rowsAbove(topology_.networks.size()) * kTag + 34;
    std::vector<int> ends(columns, top);
    for (const auto& node : topology_.nodes) {
      Box box{&node, rowsOf(topology_, node), {}, 0, 0};
      for (const auto& [number, ready] : node.networks) box.networks.insert(number);
      for (const Row& row : box.rows) {
        for (const auto& [number, ready] : row.networks) box.networks.insert(number);
      }
      const auto column = std::ranges::min_element(ends) - ends.begin();
      box.x = left() + static_cast<int>(column) * pitch;
      box.y = ends[static_cast<std::size_t>(column)];
      ends[static_cast<std::size_t>(column)] += box.height() + kGap;
      height_ = std::max(height_, box.y + box.height() + kMargin);
      boxes_.push_back(std::move(box));
    }
    height_ = std::max(height_, top + kMargin);
  }

  void begin() {
    out_ += "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width_) +
            "\" height=\"" + std::to_string(height_) + "\" viewBox=\"0 0 " +
            std::to_string(width_) + " " + std::to_string(height_) +
            "\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  }

  void write(int x, int y, const std::string& words, const std::string& style) {
    out_ += "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" " + style + ">" +
            escaped(words) + "</text>\n";
  }
  void line(int x1, int y1, int x2, int y2, const std::string& colour, const std::string& wide,
            bool dashed) {
    out_ += "<line x1=\"" + std::to_string(x1) + "\" y1=\"" + std::to_string(y1) + "\" x2=\"" +
            std::to_string(x2) + "\" y2=\"" + std::to_string(y2) + "\" stroke=\"" + colour +
            "\" stroke-width=\"" + wide + "\"" + (dashed ? " stroke-dasharray=\"3 3\"" : "") +
            "/>\n";
  }
  void dot(int x, int y, const std::string& colour, bool full) {
    out_ += "<circle cx=\"" + std::to_string(x) + "\" cy=\"" + std::to_string(y) +
            "\" r=\"4\" stroke-width=\"1.6\" stroke=\"" + colour + "\" fill=\"" +
            (full ? colour : "#ffffff") + "\"/>\n";
  }

  void rails() {
    for (std::size_t i = 0; i < topology_.networks.size(); ++i) {
      line(kMargin, railY(i), width_ - kMargin, railY(i), colourOf(i), "4",
           topology_.networks[i].ready != "True");
    }
  }

  [[nodiscard]] std::vector<std::size_t> podsOfNetworks() const {
    std::vector<std::size_t> pods(topology_.networks.size());
    for (const auto& node : topology_.nodes) {
      for (const auto& pod : node.pods) {
        std::set<std::size_t> its;
        for (const auto& one : pod.interfaces) its.insert(one.network);
        for (const auto number : its) ++pods[number];
      }
    }
    return pods;
  }

  /// Right of the first column's lines, and with a white edge where others pass.
  void labels() {
    const std::string edge = " paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"4\"";
    const int x = left();
    const auto pods = podsOfNetworks();
    for (std::size_t i = 0; i < topology_.networks.size(); ++i) {
      const auto& network = topology_.networks[i];
      write(x, railY(i) - 6, network.name,
            "font-size=\"13\" font-weight=\"bold\" fill=\"" + colourOf(i) + "\"" + edge);
      std::string rest = network.type + (network.vni.empty() ? "" : " " + network.vni);
      if (!network.subnets.empty()) rest += " · " + network.subnets;
      rest += " · " + std::to_string(pods[i]) + (pods[i] == 1 ? " pod" : " pods");
      if (network.ready != "True") rest += " · Ready=" + network.ready;
      write(x + 16 + static_cast<int>(network.name.size()) * 9, railY(i) - 6, rest,
            "fill=\"#444444\"" + edge);
    }
  }

  /// On white, so that what passes down behind it doesn't cross the words.
  void draw(const Tag& tag) {
    const auto colour = colourOf(tag.network);
    const int y = railY(tag.network) + 6 + tag.row * kTag;
    if (tag.row == 0) line(tag.x + 10, railY(tag.network), tag.x + 10, y, colour, "2", false);
    out_ += "<g><title>" + escapedLines(tag.tip) + "</title>\n<rect x=\"" + std::to_string(tag.x) +
            "\" y=\"" + std::to_string(y) + "\" width=\"" + std::to_string(tag.width()) +
            "\" height=\"" + std::to_string(kTag - 4) + "\" rx=\"8\" fill=\"#ffffff\" stroke=\"" +
            colour + "\"" + (tag.ready ? "" : " stroke-dasharray=\"3 3\"") + "/>\n";
    dot(tag.x + 10, y + 8, colour, tag.ready);
    write(tag.x + 18, y + 12, tag.label, "fill=\"#1c2733\"");
    out_ += "</g>\n";
  }

  /// Down from the rails and into the box.
  void lines(const Box& box) {
    for (const auto number : box.networks) {
      const int x = laneX(box, number);
      const int y = box.y + 12 + static_cast<int>(number % 3) * 6;
      const bool ready = stateOf(box, number) == "True";
      line(x, railY(number), x, y, colourOf(number), "2", false);
      line(x, y, box.x, y, colourOf(number), "2", !ready);
    }
  }

  static std::string stateOf(const Box& box, std::size_t number) {
    const auto found = box.node->networks.find(number);
    return found == box.node->networks.end() ? "Unknown" : found->second;
  }

  void draw(const Box& box) {
    out_ += "<rect x=\"" + std::to_string(box.x) + "\" y=\"" + std::to_string(box.y) +
            "\" width=\"" + std::to_string(kBox) + "\" height=\"" + std::to_string(box.height()) +
            "\" rx=\"5\" fill=\"#f7f8fa\" stroke=\"#9aa3ad\"/>\n";
    write(box.x + 10, box.y + 20, shortened(box.node->name, 24),
          "font-size=\"13\" font-weight=\"bold\" fill=\"#1c2733\"");
    std::size_t pods = 0;
    for (const Row& row : box.rows) pods += row.pods;
    write(box.x + kBox - 10, box.y + 20, std::to_string(pods) + (pods == 1 ? " pod" : " pods"),
          "text-anchor=\"end\" fill=\"#667380\"");
    int y = box.y + kHead + 8;
    for (const Row& row : box.rows) {
      out_ += "<g><title>" + escapedLines(row.tip) + "</title>\n";
      // Dots of a network stand under each other.
      int x = box.x + 14;
      for (const auto number : box.networks) {
        if (const auto has = row.networks.find(number); has != row.networks.end()) {
          dot(x, y - 4, colourOf(number), has->second);
        }
        x += kDot;
      }
      const std::string count = row.pods > 1 ? " × " + std::to_string(row.pods) : "";
      const auto room =
          kLetters - std::min<std::size_t>(kLetters - 8, box.networks.size() * 2) + std::size_t{2};
      write(x + 2, y, shortened(row.label, room) + count, "fill=\"#1c2733\"");
      out_ += "</g>\n";
      y += kRow;
    }
  }

  static std::string escapedLines(const std::string& text) {
    std::string out;
    std::size_t from = 0;
    while (true) {
      const auto end = text.find('\n', from);
      out += escaped(text.substr(from, end == std::string::npos ? end : end - from));
      if (end == std::string::npos) return out;
      out += "&#10;";
      from = end + 1;
    }
  }

  const Topology& topology_;
  std::vector<Box> boxes_;
  std::vector<Tag> tags_;
  std::vector<int> tagRows_;  // of each network
  int width_ = 0;
  int height_ = 0;
  std::string out_;
};

}  // namespace

std::string drawSvg(const Topology& topology) {
  return Picture(topology).run();
}

}  // namespace multinet::cli
