// The pitch of a sound: McLeod's method, a normalised autocorrelation. It finds the fundamental of voices and tones
// where the strongest line of a spectrum would be an overtone.

const LOWEST = 70;
const HIGHEST = 1200;
const CLEAR = 0.8;
// Of several peaks that are nearly as high, the first is the period: the others are multiples of it.
const NEARLY = 0.9;

/** Hz, or null where there is no clear pitch. `samples` are floats. */
export function pitchOf(samples, rate) {
  // Half the samples do: the highest pitch needs no more, and it is a quarter of the work.
  const half = new Float32Array(samples.length >> 1);
  for (let i = 0; i < half.length; i++) half[i] = (samples[2 * i] + samples[2 * i + 1]) / 2;
  return pitchAt(half, rate / 2);
}

function pitchAt(samples, rate) {
  const from = Math.floor(rate / HIGHEST);
  const to = Math.min(Math.ceil(rate / LOWEST), samples.length >> 1);
  const likeness = new Float32Array(to + 2);
  for (let lag = 1; lag <= to + 1; lag++) likeness[lag] = alike(samples, lag);
  const peaks = [];
  let lag = 1;
  while (lag <= to && likeness[lag] > 0) lag++; // the slope around lag 0 is no peak
  for (; lag <= to; lag++) {
    const top = likeness[lag];
    if (lag >= from && top > CLEAR && top >= likeness[lag - 1] && top > likeness[lag + 1]) peaks.push(lag);
  }
  if (!peaks.length) return null;
  const highest = Math.max(...peaks.map((peak) => likeness[peak]));
  const first = peaks.find((peak) => likeness[peak] >= NEARLY * highest);
  return rate / (first + between(likeness[first - 1], likeness[first], likeness[first + 1]));
}

/** 1 where the samples repeat after `lag`, 0 where they have nothing to do with each other. */
function alike(samples, lag) {
  let product = 0;
  let power = 0;
  for (let i = 0; i + lag < samples.length; i++) {
    product += samples[i] * samples[i + lag];
    power += samples[i] * samples[i] + samples[i + lag] * samples[i + lag];
  }
  return power ? (2 * product) / power : 0;
}

/** Where between the lags the peak is: the top of the parabola through three points. */
function between(left, top, right) {
  const bend = left - 2 * top + right;
  return bend ? (left - right) / (2 * bend) : 0;
}

/** Level in decibels of full scale, not below -60. */
export function levelOf(samples) {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  return Math.max(-60, 10 * Math.log10(power / samples.length + 1e-9));
}
