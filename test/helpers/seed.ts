import { wholeNumber } from '../../core/command-line.mjs'

/** As many as a person types again without a slip. */
export const nineDigits = wholeNumber({ max: 999_999_999 })

/** Of what this process draws: SEED repeats a run, and every test prints what repeats it. */
export const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000_000)

/** The option of a command that draws. */
export function seedOption(doc: string) {
  return { value: 'S', read: nineDigits, default: seed, defaultMeans: 'from the clock', doc }
}
