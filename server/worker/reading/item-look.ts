/** What a hotcake is like: words for its name, and what its picture is drawn from. */

interface Batter {
  readonly word: string
  /** The side that was on the griddle, and the edge, which is paler. */
  readonly face: string
  readonly edge: string
}

interface Syrup {
  readonly word: string
  readonly colour: string
}

interface Topping {
  readonly word: string
  readonly shape: 'berry' | 'slice' | 'half' | 'crumb' | 'leaf'
  readonly colour: string
  readonly shade: string
  readonly count: number
}

export interface ItemLook {
  readonly manner: string
  readonly batter: Batter
  readonly kind: (typeof kinds)[number]
  readonly syrup: Syrup
  readonly topping: Topping
}

const manners =
  `airy autumn bright buttery cheerful cosy creamy crisp dainty dawn early evening famous fancy feathery festive fluffy
  friendly generous gentle glad golden griddled happy hearty homely honest humble jolly lacy light lucky mellow merry
  midnight noble plump proud quiet royal rustic silky sunday sunny tender toasty velvety warm`
    .split(/\s+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))

const batters = table<Batter>(['word', 'face', 'edge'])`
  Almond #c98a4b #f0cf98      Apple #c9853d #f2d391        Banana #cf9140 #f6dc9a     Barley #b97a3c #e6c48d
  Buckwheat #8d5f3c #c9a27a   Buttermilk #d18b3c #f7dca2   Cardamom #c28344 #eccb92   Carrot #c8722b #f0b774
  Chestnut #9b6035 #d3a06c    Cinnamon #ad6a35 #dfae77     Clove #8f5a38 #c6976b      Cocoa #6d412a #a06f4c
  Coconut #d59b52 #fbe9bf     Cornmeal #d89a34 #f8dc87     Espresso #5f3b29 #94674a   Ginger #bb7433 #e9bd7d
  Hazelnut #a96f3f #dcb083    Malt #a4652f #d9a568         Millet #cb9444 #f2d68f     Nutmeg #b0713d #e0b482
  Oat #bd8447 #ead0a0         Orange #d4842c #f8cb7d       Poppyseed #b98853 #e9d3ae  Potato #c99848 #f2dda2
  Pumpkin #c66a22 #eea95c     Ricotta #d79d55 #fbe8c2      Rye #8b5c36 #c29a6d        Saffron #d98f22 #f9d268
  Semolina #d2993f #f5dc95    Sesame #be8a4c #ecd3a4       Sourdough #b67d42 #e5c592  Vanilla #d6994b #fae3b0`

/** How many to a stack, and how wide and thick each is. */
const kinds = [
  { word: 'Hotcake', count: 3, width: 164, height: 30 },
  { word: 'Pancake', count: 4, width: 172, height: 21 },
  { word: 'Flapjack', count: 5, width: 158, height: 19 },
  { word: 'Griddlecake', count: 2, width: 176, height: 36 },
  { word: 'Pikelet', count: 3, width: 132, height: 25 },
  { word: 'Crumpet', count: 2, width: 138, height: 42 },
  { word: 'Blini', count: 6, width: 124, height: 15 },
  { word: 'Johnnycake', count: 3, width: 150, height: 25 },
] as const

const syrups = table<Syrup>(['word', 'colour'])`
  Maple #9a4410   Honey #e09a1a      Caramel #a85416    Treacle #4a2412   Chocolate #4f2a18   Toffee #8f4a1c
  Cream #fff1d0   Butter #f9d567     Raspberry #b3263f  Cherry #8e1b2e    Blackberry #5b2148  Apricot #e58a2b`

const toppings = table<Topping>(['word', 'shape', 'colour', 'shade', 'count'])`
  Blueberries berry #4b5a94 #2f3a68 9     Raspberries berry #cf3f57 #9a2438 7    Blackberries berry #4d2f55 #2c1833 7
  Cherries berry #a81f33 #741020 5        Redcurrants berry #d9303a #a51c26 12   Gooseberries berry #a9b453 #7d8736 7
  Strawberries half #d8383f #f5a08e 5     Figs half #7a4a63 #d98a86 4            Peaches half #f0a44d #c86b2c 4
  Bananas slice #f8e3a3 #cda548 5         Oranges slice #f2a23a #d57a17 4        Lemons slice #f7dc5a #d3ae25 4
  Walnuts crumb #9c6b43 #6d4526 8         Pecans crumb #8a4f29 #5d3116 8         Pistachios crumb #a3b060 #74803a 11
  Mint leaf #5f8f4e #3e6a34 5`

/** Of all that can be told apart: over two million. */
const lookCount = manners.length * batters.length * kinds.length * syrups.length * toppings.length
/** Some five eighths of each table further, so that neighbours have nothing in common; without a divisor of lookCount, so that none comes twice. */
const stride = 1_505_749
/** Of sales, so that the next one doesn't sell the same hotcakes again, a number further. */
const saleStride = 1_000_003

/** The same on every server: no two items of a sale of up to two million are alike. */
export function itemLook(sale: number, index: number): ItemLook {
  let rest = lookPlace(sale, index)
  const take = <Value>(values: readonly Value[]): Value => {
    const value = values[rest % values.length] as Value
    rest = Math.floor(rest / values.length)
    return value
  }
  return {
    kind: take(kinds),
    topping: take(toppings),
    batter: take(batters),
    syrup: take(syrups),
    manner: take(manners),
  }
}

/** A number for all that is drawn at random of it. */
export function lookPlace(sale: number, index: number): number {
  // Each product stays below 2^53: a sale's number may have 15 digits, an item's as well.
  return ((index % lookCount) * stride + (sale % lookCount) * saleStride) % lookCount
}

/** Rows of so many words in a text. A cell of digits is a number. */
function table<Row>(columns: readonly (keyof Row & string)[]): (text: TemplateStringsArray) => Row[] {
  return ([text = '']) => {
    const cells = text.trim().split(/\s+/)
    return Array.from({ length: cells.length / columns.length }, (_, row) => {
      const values = columns.map((column, at) => [column, cell(cells[row * columns.length + at] ?? '')])
      return Object.fromEntries(values) as Row
    })
  }
}

function cell(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : text
}
