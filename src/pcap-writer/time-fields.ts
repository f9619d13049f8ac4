interface TimeField {
  readonly pattern: string
  text(date: Date): string
}

const TWO_DIGITS = '\\d{2}'

/** strftime's conversions that make sense in a file name, in local time. */
export const TIME_FIELDS: Readonly<Record<string, TimeField>> = {
  Y: { pattern: '\\d{4}', text: (date) => digits(date.getFullYear(), 4) },
  y: { pattern: TWO_DIGITS, text: (date) => digits(date.getFullYear() % 100, 2) },
  m: { pattern: TWO_DIGITS, text: (date) => digits(date.getMonth() + 1, 2) },
  d: { pattern: TWO_DIGITS, text: (date) => digits(date.getDate(), 2) },
  H: { pattern: TWO_DIGITS, text: (date) => digits(date.getHours(), 2) },
  M: { pattern: TWO_DIGITS, text: (date) => digits(date.getMinutes(), 2) },
  S: { pattern: TWO_DIGITS, text: (date) => digits(date.getSeconds(), 2) },
  j: { pattern: '\\d{3}', text: (date) => digits(dayOfYear(date), 3) },
  s: { pattern: '\\d+', text: (date) => `${Math.floor(date.getTime() / 1000)}` },
  F: { pattern: '\\d{4}-\\d{2}-\\d{2}', text: isoDate },
  T: { pattern: '\\d{2}:\\d{2}:\\d{2}', text: clock },
  z: { pattern: '[+-]\\d{4}', text: zone },
}

function digits(value: number, width: number): string {
  return `${value}`.padStart(width, '0')
}

function isoDate(date: Date): string {
  return `${digits(date.getFullYear(), 4)}-${digits(date.getMonth() + 1, 2)}-${digits(date.getDate(), 2)}`
}

function clock(date: Date): string {
  return `${digits(date.getHours(), 2)}:${digits(date.getMinutes(), 2)}:${digits(date.getSeconds(), 2)}`
}

function dayOfYear(date: Date): number {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  return (day - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000
}

/** +hhmm as ISO 8601 and strftime write it; JavaScript's offset has the opposite sign. */
function zone(date: Date): string {
  const minutes = -date.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${digits(Math.floor(size / 60), 2)}${digits(size % 60, 2)}`
}
