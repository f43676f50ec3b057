// Sets that share what they have in common, who waits for whom, pieces of plans, and memory by lifetime.
#include "core/plan/waits.h"

#include <algorithm>
#include <random>
#include <set>

#include "core/plan/memory.h"
#include "core/session/session.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

TEST(sets, are_those_of_the_standard_library) {
  std::mt19937 random(1);
  for (const std::size_t limit : {1, 64, 65, 1000}) {
    Sets sets(limit);
    std::vector<std::set<std::size_t>> plain{{}};
    std::vector<int> ids{0};
    const auto any = [&] { return std::size_t(random() % ids.size()); };
    for (int i = 0; i < 300; ++i) {
      const std::size_t a = any(), b = any();
      std::set<std::size_t> made = plain[a];
      if (i % 2) {
        made.insert(plain[b].begin(), plain[b].end());
        ids.push_back(sets.unite(ids[a], ids[b]));
      } else {
        const std::size_t number = random() % limit;
        made.insert(number);
        ids.push_back(sets.with(ids[a], number));
      }
      plain.push_back(std::move(made));
      const std::size_t c = any(), d = any();
      CHECK_EQ(ids[c] == ids[d], plain[c] == plain[d]);
      CHECK_EQ(sets.contains(ids[c], ids[d]),
               std::includes(plain[c].begin(), plain[c].end(), plain[d].begin(), plain[d].end()));
    }
  }
}

// A chain of operations that wait, and many that come after one group of them each: what a set for each would
// need grows with the square.
TEST(sets, of_neighbours_share_memory) {
  constexpr std::size_t kCount = 20'000;
  Sets sets(2 * kCount);
  int chain = 0;
  for (std::size_t i = 0; i < kCount; ++i) chain = sets.with(chain, i);
  int all = chain;
  for (std::size_t i = 0; i < kCount; ++i) {
    const int one = sets.with(chain, kCount + i);
    CHECK(sets.contains(one, chain) && !sets.contains(chain, one));
    all = sets.unite(all, one);
  }
  CHECK(sets.contains(all, chain));
  CHECK(sets.size() < 50 * kCount);
}

TEST(waits, are_for_what_blocks_only) {
  Waits waits(6);
  const std::vector<std::vector<int>> before = {{}, {0}, {}, {1, 2}, {2}, {0}};
  for (std::size_t i = 0; i < before.size(); ++i) waits.add(before[i], i == 0 || i == 2);
  CHECK_EQ(waits.before(0), 0);
  CHECK_EQ(waits.before(1), waits.after(0));
  CHECK_EQ(waits.before(5), waits.before(1));
  CHECK_EQ(waits.before(3), waits.unite(waits.after(0), waits.after(2)));
  CHECK(waits.contains(waits.before(3), waits.before(4)) &&
        !waits.contains(waits.before(4), waits.before(1)));
}

// No two blocks that are in use at once may overlap, nor those of which one may not follow the other.
void check_apart(std::span<const Block> blocks, std::size_t total,
                 const std::function<bool(std::size_t, std::size_t)>& may_follow) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& a = blocks[i];
    CHECK(a.offset + a.bytes <= total);
    for (std::size_t j = 0; j < blocks.size(); ++j) {
      const Block& b = blocks[j];
      if (i == j || a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset) continue;
      CHECK(a.last < b.first || b.last < a.first);
      if (a.last < b.first) CHECK(may_follow(i, j));
    }
  }
}

TEST(memory, blocks_in_use_at_once_are_apart) {
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<Block> blocks;
    std::vector<int> kinds;
    for (int i = 0; i < 400; ++i) {
      const int first = int(random() % 2000);
      // Most are short; some live long.
      const int last = first + int(random() % (i % 10 ? 20 : 1000));
      blocks.push_back({std::size_t(1 + random() % 5000), first, last});
      kinds.push_back(int(random() % 4));
    }
    std::vector<Block> plain = blocks;
    std::size_t together = 0, sum = 0;
    for (int step = 0; step < 3000; ++step) {
      std::size_t now = 0;
      for (const Block& block : blocks) now += block.first <= step && step <= block.last ? block.bytes : 0;
      together = std::max(together, now);
    }
    for (const Block& block : blocks) sum += block.bytes;
    std::size_t total = assign_offsets(plain);
    check_apart(plain, total, [](auto, auto) { return true; });
    CHECK(total >= together && total < 2 * together);
    const auto may_follow = [](int a, int b) { return a <= b && a != 2; };
    total = assign_offsets(blocks, kinds, may_follow);
    check_apart(blocks, total, [&](auto i, auto j) { return may_follow(kinds[i], kinds[j]); });
    CHECK(total < sum);
  }
}

}  // namespace
}  // namespace headrace
