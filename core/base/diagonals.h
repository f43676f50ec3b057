// Which diagonals of a matrix: 0 is the main one, positive ones are above it, negative ones below.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "core/base/error.h"

namespace headrace {

struct DiagonalBand {
  std::int64_t low, high;

  // One number, or the lowest and the highest.
  explicit DiagonalBand(std::span<const std::int64_t> k) {
    require(k.size() == 1 || k.size() == 2, "k must be a number or (lowest, highest), got ", k.size(),
            " numbers");
    low = k.front();
    high = k.back();
    require(low <= high, "k = (", low, ", ", high, ") has the higher diagonal first; swap them");
  }
  bool single() const { return low == high; }
  std::int64_t count() const { return high - low + 1; }
  // The elements of the longest one in a matrix of this size.
  std::int64_t length(std::int64_t rows, std::int64_t columns) const {
    require((-rows < high && high < columns) || (high == 0 && (rows == 0 || columns == 0)), "diagonal ", high,
            " does not exist in a matrix of ", rows, " x ", columns);
    require((-rows < low && low < columns) || (low == 0 && (rows == 0 || columns == 0)), "diagonal ", low,
            " does not exist in a matrix of ", rows, " x ", columns);
    return std::min(rows + std::min<std::int64_t>(high, 0), columns - std::max<std::int64_t>(low, 0));
  }
  // The size of the matrix that has diagonals of such a length; -1 leaves rows or columns open.
  std::pair<std::int64_t, std::int64_t> matrix_size(std::int64_t length, std::int64_t rows,
                                                    std::int64_t columns) const {
    const std::int64_t least_rows = length - std::min<std::int64_t>(high, 0);
    const std::int64_t least_columns = length + std::max<std::int64_t>(low, 0);
    if (rows == -1 && columns == -1) rows = columns = std::max(least_rows, least_columns);
    if (rows == -1) rows = least_rows;
    if (columns == -1) columns = least_columns;
    require(
        rows >= least_rows && columns >= least_columns && (rows == least_rows || columns == least_columns),
        "diagonals of ", length, " elements do not fit ", rows, " x ", columns, " matrices; they need ",
        least_rows, " x ", least_columns);
    return {rows, columns};
  }
};

}  // namespace headrace
