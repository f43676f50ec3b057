// Special functions in double precision: series, continued fractions and asymptotic expansions out of
// Abramowitz and Stegun, "Handbook of Mathematical Functions", and the DLMF (dlmf.nist.gov).
#pragma once

namespace headrace::special {

double lgamma(double x);   // log |gamma(x)|, without the C library's global sign
double digamma(double x);  // NaN at the poles 0, -1, -2...
double erfinv(double y);
double ndtri(double p);
double zeta(double x, double q);           // Hurwitz
double polygamma(double a, double x);      // whole a >= 0
double igamma(double a, double x);         // P(a, x)
double igammac(double a, double x);        // Q(a, x)
double igamma_grad_a(double a, double x);  // dP/da
double betainc(double a, double b, double x);
double bessel_i0e(double x);
double bessel_i1e(double x);

}  // namespace headrace::special
