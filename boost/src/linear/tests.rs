use super::*;
use crate::{Error, Matrix, Sample};

/// Longley's data (1967), US employment by six regressors; the certified values of NIST's Statistical Reference
/// Datasets ("Longley", linear least squares, higher difficulty).
#[rustfmt::skip]
const LONGLEY: [[f64; 7]; 16] = [
    [60_323.0, 83.0, 234_289.0, 2356.0, 1590.0, 107_608.0, 1947.0],
    [61_122.0, 88.5, 259_426.0, 2325.0, 1456.0, 108_632.0, 1948.0],
    [60_171.0, 88.2, 258_054.0, 3682.0, 1616.0, 109_773.0, 1949.0],
    [61_187.0, 89.5, 284_599.0, 3351.0, 1650.0, 110_929.0, 1950.0],
    [63_221.0, 96.2, 328_975.0, 2099.0, 3099.0, 112_075.0, 1951.0],
    [63_639.0, 98.1, 346_999.0, 1932.0, 3594.0, 113_270.0, 1952.0],
    [64_989.0, 99.0, 365_385.0, 1870.0, 3547.0, 115_094.0, 1953.0],
    [63_761.0, 100.0, 363_112.0, 3578.0, 3350.0, 116_219.0, 1954.0],
    [66_019.0, 101.2, 397_469.0, 2904.0, 3048.0, 117_388.0, 1955.0],
    [67_857.0, 104.6, 419_180.0, 2822.0, 2857.0, 118_734.0, 1956.0],
    [68_169.0, 108.4, 442_769.0, 2936.0, 2798.0, 120_445.0, 1957.0],
    [66_513.0, 110.8, 444_546.0, 4681.0, 2637.0, 121_950.0, 1958.0],
    [68_655.0, 112.6, 482_704.0, 3813.0, 2552.0, 123_366.0, 1959.0],
    [69_564.0, 114.2, 502_601.0, 3931.0, 2514.0, 125_368.0, 1960.0],
    [69_331.0, 115.7, 518_173.0, 4806.0, 2572.0, 127_852.0, 1961.0],
    [70_551.0, 116.9, 554_894.0, 4007.0, 2827.0, 130_081.0, 1962.0],
];

#[test]
fn least_squares_equals_nist_on_longley() {
    let values = LONGLEY.iter().flat_map(|row| row[1..].to_vec()).collect();
    let features = Matrix::new(values, 16, 6).expect("finite");
    let targets: Vec<f64> = LONGLEY.iter().map(|row| row[0]).collect();
    let model = ridge(&Sample::new(&features, &targets), 1e-12).expect("fits");
    let certified = [
        (15.061_872_271_373_3, 84.914_925_774_766_9),
        (-0.358_191_792_925_910E-01, 0.334_910_077_722_432E-01),
        (-2.020_229_803_816_83, 0.488_399_681_651_699),
        (-1.033_226_867_173_59, 0.214_274_163_161_675),
        (-0.511_041_056_535_807E-01, 0.226_073_200_069_370),
        (1_829.151_464_613_55, 455.478_499_142_212),
    ];
    for (index, (slope, error)) in certified.into_iter().enumerate() {
        let at = index + 1;
        let found = model.coefficients[at] / model.deviations[index];
        let found_error = model.covariance[at * 7 + at].sqrt() / model.deviations[index];
        assert!((found / slope - 1.0).abs() < 1e-6, "slope {index}: {found} is not {slope}");
        assert!((found_error / error - 1.0).abs() < 1e-6, "error {index}: {found_error} is not {error}");
    }
}

/// A saturated model of two groups has the log odds of each and Wald's error of their difference, by hand.
#[test]
fn logistic_regression_of_two_groups_is_their_odds_ratio() {
    let values: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i >= 100))).collect();
    let targets: Vec<f64> =
        (0..200).map(|i| f64::from(u8::from(if i < 100 { i < 20 } else { i < 150 }))).collect();
    let features = Matrix::new(values, 200, 1).expect("finite");
    let model = logistic(&Sample::new(&features, &targets), 1e-9).expect("fits");
    assert!((model.predict(&[0.0]) - 0.2).abs() < 1e-7 && (model.predict(&[1.0]) - 0.5).abs() < 1e-7);
    let wald = (1.0 / 20.0 + 1.0 / 80.0 + 1.0 / 50.0 + 1.0 / 50.0_f64).sqrt();
    let found = model.covariance[3].sqrt() / model.deviations[0];
    assert!((found - wald).abs() < 1e-6, "{found} is not {wald}");
    assert!((model.variance(&[0.0]) - (1.0 / 20.0 + 1.0 / 80.0)).abs() < 1e-6);
}

#[test]
fn perfect_separation_stays_finite_and_a_constant_has_no_say() {
    let features = Matrix::new(vec![0.0, 7.0, 1.0, 7.0, 2.0, 7.0, 3.0, 7.0], 4, 2).expect("finite");
    let model = logistic(&Sample::new(&features, &[0.0, 0.0, 1.0, 1.0]), 0.1).expect("fits");
    assert!(model.coefficients.iter().all(|beta| beta.is_finite()) && model.coefficients[2].abs() < 1e-12);
    assert!(model.predict(&[3.0, 7.0]) > 0.5 && model.predict(&[0.0, 7.0]) < 0.5);
    let missing = model.predict(&[f64::NAN, f64::NAN]);
    assert!((missing - model.predict(&[1.5, 7.0])).abs() < 1e-12, "a missing value is the mean");
    let refused = logistic(&Sample::new(&features, &[0.0, 0.0, 1.0, 1.0]), 0.0).expect_err("no penalty");
    assert!(matches!(refused, Error::Setting { setting: "l2", .. }));
}
