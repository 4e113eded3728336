/** What an item can be, by the numbers of the feed. The last is the page's own: its shard can't be asked. */
export const stateNames = ['available', 'held', 'sold', 'missing']

/** The same for people. */
export const stateWords = ['available', 'held', 'sold', 'out of reach']

const whole = new Intl.NumberFormat('en')
const two = (number) => String(number).padStart(2, '0')

export const formatNumber = (number) => whole.format(number)

/** `9:05`, `1:02:03`, `3 d 4 h`; rounded up, so that 0:00 means over. */
export function formatClock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1_000))
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

/** `0.8 s`, `12 s`, `4 min 10 s`, `2 h 5 min` */
export function formatSpan(ms) {
  const seconds = ms / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return seconds % 60 >= 1 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return minutes % 60 > 0 ? `${hours} h ${minutes % 60} min` : `${hours} h`
  return hours % 24 > 0 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`
}

/** As on a clock at the wall: with seconds where the span that it is of is short. */
export function formatMoment(ms, spanMs) {
  const isShort = spanMs < 600_000
  return new Date(ms).toLocaleTimeString([], {
    hour: 'numeric',
    minute: '2-digit',
    ...(isShort && { second: '2-digit' }),
  })
}

export function formatDay(ms) {
  return new Date(ms).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
}

export function formatTime(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: 'numeric', minute: '2-digit', second: '2-digit' })
}
