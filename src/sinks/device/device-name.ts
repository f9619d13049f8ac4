import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'
import { isDeviceName } from '../../dgram-extended/network-device.ts'

/** A sink's target that names a network device. */
export function deviceName(example: string): z.ZodType<string, string> {
  return z
    .string({ error: problem('no device is named', `Write its name behind the colon, e.g. ${example}.`) })
    .refine(
      isDeviceName,
      problem('is no name of a network device', `Names have up to 15 bytes, without / : % and spaces: ${example}.`),
    )
}

/** How to mend it when the device did not take all frames. */
export function whenDeviceRefused(name: string): string {
  return `Let it be up while frames come, and see its state and counts: ip -s link show ${name}`
}
