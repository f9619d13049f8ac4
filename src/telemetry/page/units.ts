const THIN_SPACE = '\u202f'

/** 1234567 -> "1 234 567", with thin spaces. */
export function whole(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN_SPACE)
}

/** 1234567 -> "1.23 M". */
export function short(value: number): string {
  return scaled(value, 1000, ['', 'k', 'M', 'G', 'T'])
}

export function bits(perSecond: number): string {
  return scaled(perSecond, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'])
}

export function bytes(count: number): string {
  return scaled(count, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'])
}

export function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const days = Math.floor(whole / 86_400)
  const clock = new Date((whole % 86_400) * 1000).toISOString().slice(11, 19)
  return days > 0 ? `${days} d ${clock}` : clock
}

function scaled(value: number, factor: number, units: readonly string[]): string {
  let rest = value
  let unit = 0
  while (rest >= factor && unit < units.length - 1) {
    rest /= factor
    unit++
  }
  const digits = rest >= 100 || unit === 0 ? 0 : rest >= 10 ? 1 : 2
  // Axis labels say 2 k, not 2.00 k.
  const text = rest.toFixed(digits).replace(/\.0+$/, '')
  return units[unit] === '' ? text : `${text} ${units[unit]}`
}
