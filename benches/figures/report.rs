//! Runs two sides alternately, and prints the results.

use std::thread;
use std::time::Duration;

use anyhow::Result;

/// A pause between two runs, for the server to notice that the last client has left; otherwise the next run
/// would pay for that.
const BREATH: Duration = Duration::from_millis(5);

/// Runs both sides alternately, after one round that is not counted. Returns the times in seconds.
pub fn in_turn(
    rounds: usize,
    first: impl Fn() -> Result<Duration>,
    second: impl Fn() -> Result<Duration>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        thread::sleep(BREATH);
        let one = first()?;
        thread::sleep(BREATH);
        let other = second()?;
        if round > 0 {
            a.push(one.as_secs_f64());
            b.push(other.as_secs_f64());
        }
    }
    Ok((a, b))
}

/// Runs `side` without pauses, after one run that is not counted. Returns the times in seconds.
pub fn alone(rounds: usize, side: impl Fn() -> Result<Duration>) -> Result<Vec<f64>> {
    side()?;
    (0..rounds)
        .map(|_| side().map(|time| time.as_secs_f64()))
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn print_values(name: &str, values: &[f64], digits: usize) {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values);
    println!("  {name:10} median {middle:8.digits$}   min {min:8.digits$}   max {max:8.digits$}");
}

/// Prints times in milliseconds.
pub fn print_times(name: &str, seconds: &[f64]) {
    let times: Vec<_> = seconds.iter().map(|seconds| seconds * 1e3).collect();
    print_values(name, &times, 2);
}

/// Prints the rates, given the times for `count` commands in seconds.
pub fn print_rates(name: &str, seconds: &[f64], count: usize) {
    let rates: Vec<_> = seconds
        .iter()
        .map(|seconds| count as f64 / seconds)
        .collect();
    print_values(name, &rates, 0);
}

/// Prints the median of the pairs' ratios `above` / `below`.
pub fn print_ratio(name: &str, above: &[f64], below: &[f64], target: &str) {
    let ratios: Vec<_> = above.iter().zip(below).map(|(a, b)| a / b).collect();
    println!("  {name} = {:.3}{target}", median(&ratios));
}

/// Prints the ratio of the medians, for runs that are not pairs.
pub fn print_ratio_of_medians(name: &str, above: &[f64], below: &[f64], target: &str) {
    println!("  {name} = {:.3}{target}", median(above) / median(below));
}
