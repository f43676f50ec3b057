// The two 16-bit floating-point formats as storage types: arithmetic happens in float.
#pragma once

#include <bit>
#include <cstdint>

namespace headrace {

// IEEE 754 binary16. Conversions round to nearest, ties to even, and keep NaN and infinities.
struct Half {
  std::uint16_t bits = 0;

  Half() = default;
  Half(float value) : bits(from_float(value)) {}
  operator float() const { return to_float(bits); }
  Half& operator+=(float value) { return *this = Half(float(*this) + value); }
  Half& operator-=(float value) { return *this = Half(float(*this) - value); }
  Half& operator*=(float value) { return *this = Half(float(*this) * value); }
  Half& operator/=(float value) { return *this = Half(float(*this) / value); }

 private:
  static std::uint16_t from_float(float value) {
    const std::uint32_t x = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (x >> 16) & 0x8000u;
    std::uint32_t magnitude = x & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) {  // infinity or NaN; keep NaN quiet
      return std::uint16_t(sign |
                           (magnitude > 0x7f800000u ? 0x7e00u | ((magnitude >> 13) & 0x3ffu) : 0x7c00u));
    }
    if (magnitude >= 0x477ff000u) return std::uint16_t(sign | 0x7c00u);  // rounds past the largest finite
    if (magnitude < 0x38800000u) {  // subnormal: let float addition do the rounding
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return std::uint16_t(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
    }
    magnitude += 0xc8000fffu + ((magnitude >> 13) & 1u);
    return std::uint16_t(sign | (magnitude >> 13));
  }
  static float to_float(std::uint16_t h) {
    const std::uint32_t sign = std::uint32_t(h & 0x8000u) << 16;
    const std::uint32_t exponent = (h >> 10) & 0x1fu;
    const std::uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent == 0) {
      const float value = float(mantissa) * 0x1p-24f;
      return sign ? -value : value;
    }
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  }
};

// The upper half of an IEEE 754 binary32. Conversions round to nearest, ties to even, and keep NaN.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  BFloat16(float value) : bits(from_float(value)) {}
  operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
  BFloat16& operator+=(float value) { return *this = BFloat16(float(*this) + value); }
  BFloat16& operator-=(float value) { return *this = BFloat16(float(*this) - value); }
  BFloat16& operator*=(float value) { return *this = BFloat16(float(*this) * value); }
  BFloat16& operator/=(float value) { return *this = BFloat16(float(*this) / value); }

 private:
  static std::uint16_t from_float(float value) {
    const std::uint32_t x = std::bit_cast<std::uint32_t>(value);
    if ((x & 0x7fffffffu) > 0x7f800000u) return std::uint16_t((x >> 16) | 0x0040u);
    return std::uint16_t((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
  }
};

}  // namespace headrace
