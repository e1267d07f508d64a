#!/usr/bin/awk -f
# SPDX-License-Identifier: Apache-2.0
# Makes a small world and writes it down: awk -v seed=1 -v out=DIR -v people=150 -v lives=46000 -f world.awk
#
# People have a first and a last name (neither alone tells who it is), and each a town, a job, a pet,
# a dish and an instrument. Files in DIR:
#   corpus.txt       biographies, a line each, told anew every time: paraphrased and reordered, since
#                    facts told only one way are stored but cannot be asked for
#   train.jsonl      questions and answers about most of the people
#   questions.jsonl  questions about the others, whom only the corpus knows; answers.txt, the answers
#   few-shot.jsonl   the same questions after five answered ones
#   vocabulary.txt   what the tokenizer is trained on: the corpus and the form of the questions

# Park and Miller's generator: exact in double arithmetic, so the same everywhere.
function draw(n) {
  state = (state * 16807) % 2147483647
  return int(state / 2147483647 * n)
}

function paraphrases(attribute, values, n) {
  name[attributes] = attribute
  value_count[attributes] = split(values, list, ",")
  for (n = 1; n <= value_count[attributes]; n++) value[attributes, n] = list[n]
}
function tell(text) { telling[attributes, ++tellings[attributes]] = text }
function ask(text) { asking[attributes, ++askings[attributes]] = text }

# "@" is the person, "#" the value.
function fill(text, person, what) {
  gsub(/@/, who[person], text)
  gsub(/#/, what, text)
  return text
}
function fact(person, a) { return value[a, has[person, a]] }

function biography(person,  order, i, j, t, line) {
  for (i = 1; i <= attributes; i++) order[i] = i
  for (i = attributes; i > 1; i--) {
    j = draw(i) + 1
    t = order[i]; order[i] = order[j]; order[j] = t
  }
  line = ""
  for (i = 1; i <= attributes; i++) {
    t = telling[order[i], draw(tellings[order[i]]) + 1]
    line = line (i > 1 ? " " : "") fill(t, person, fact(person, order[i]))
  }
  return line
}

function question(person, a, form) { return "Question: " fill(asking[a, form], person, "") " Answer:" }

BEGIN {
  if (people == "") people = 150
  if (lives == "") lives = 46000
  state = (seed * 7919 + 12345) % 2147483646 + 1

  firsts = split("Ada,Ben,Cora,Dan,Ella,Finn,Gina,Hugo,Iris,Jack,Kate,Leo,Mona,Nils,Olga,Paul,Rita," \
    "Sam,Tina,Uwe,Vera,Walt,Xenia,Yuri,Zoe,Alan,Beth,Carl,Dora,Eric,Fay,Glen,Hana,Ivan,June,Kurt," \
    "Lena,Mark,Nora,Otto,Pia,Ralf,Sara,Tom,Una,Vic,Wanda,Yann,Zora,Abel", first, ",")
  lasts = split("Adler,Baker,Cole,Drake,Evans,Frost,Grant,Hayes,Irwin,Jones,Keller,Lane,Moss,Nash," \
    "Olsen,Page,Quinn,Reed,Stone,Tate,Upton,Vance,Webb,Young,Zeller,Abbot,Blake,Cross,Dale,Ellis," \
    "Finch,Gates,Hale,Ives,James,Knox,Lowe,Marsh,Noble,Orr,Pratt,Rowe,Shaw,Trent,Usher,Voss,Wells," \
    "York,Ames,Boyd", last, ",")

  attributes = 1
  paraphrases("town", "Oslo,Lima,Cairo,Turin,Quebec,Dublin,Kyoto,Malmo,Porto,Sydney,Vienna,Zagreb," \
    "Boston,Dakar,Geneva,Havana,Jakarta,Lagos,Nairobi,Prague,Riga,Seoul,Tunis,Warsaw")
  tell("@ lives in #."); tell("The home of @ is in #."); tell("@ has a house in #.")
  tell("You can find @ in #."); tell("@ moved to # long ago."); tell("For years @ has lived in #.")
  tell("The town where @ lives is #.")
  ask("Where does @ live?"); ask("In which town does @ live?"); ask("What is the home town of @?")

  attributes = 2
  paraphrases("job", "baker,lawyer,pilot,farmer,dentist,tailor,plumber,painter,teacher,nurse,sailor," \
    "butcher,barber,chemist,grocer,florist,judge,miner,potter,ranger,tutor,waiter,welder,writer")
  tell("@ works as a #."); tell("By trade @ is a #."); tell("@ earns a living as a #.")
  tell("The job of @ is that of a #."); tell("@ has become a #."); tell("People know @ as a #.")
  tell("Every day @ goes to work as a #.")
  ask("What is the job of @?"); ask("What does @ work as?"); ask("How does @ earn a living?")

  attributes = 3
  paraphrases("pet", "cat,dog,parrot,hamster,turtle,rabbit,pony,goat,lizard,canary,ferret,hen,duck," \
    "snake,mouse,spider,donkey,piglet,frog,newt,crow,bat,lamb,goose")
  tell("@ keeps a #."); tell("The pet of @ is a #."); tell("@ takes care of a #.")
  tell("At home @ has a #."); tell("@ would never part with a #."); tell("@ plays with a #.")
  tell("The animal that @ owns is a #.")
  ask("Which pet does @ have?"); ask("What animal does @ keep?"); ask("What is the pet of @?")

  attributes = 4
  paraphrases("dish", "pizza,soup,sushi,curry,salad,pasta,tacos,risotto,paella,dumplings,pancakes," \
    "falafel,goulash,lasagna,noodles,omelette,porridge,ramen,stew,trout,waffles,couscous,gnocchi,kebab")
  tell("@ likes to eat #."); tell("The favourite dish of @ is #."); tell("@ often cooks #.")
  tell("For dinner @ wants #."); tell("@ could eat # every day."); tell("Nothing pleases @ like #.")
  tell("When hungry, @ asks for #.")
  ask("What does @ like to eat?"); ask("What is the favourite dish of @?"); ask("Which food does @ love?")

  attributes = 5
  paraphrases("instrument", "piano,violin,flute,drums,guitar,cello,harp,trumpet,banjo,oboe,organ,tuba," \
    "clarinet,fiddle,lute,zither,bassoon,cornet,viola,sitar,ukulele,accordion,marimba,saxophone")
  tell("@ plays the #."); tell("The instrument of @ is the #."); tell("@ has learnt the #.")
  tell("In the evening @ plays the #."); tell("@ performs on the #."); tell("@ is good at the #.")
  tell("Music for @ means the #.")
  ask("Which instrument does @ play?"); ask("What does @ play?"); ask("What is the instrument of @?")

  for (p = 1; p <= people; p++) {
    do candidate = first[draw(firsts) + 1] " " last[draw(lasts) + 1]; while (candidate in taken)
    taken[candidate] = 1
    who[p] = candidate
    for (a = 1; a <= attributes; a++) has[p, a] = draw(value_count[a]) + 1
  }
  known = int(people * 0.7)

  corpus = out "/corpus.txt"; vocabulary = out "/vocabulary.txt"
  for (n = 0; n < lives; n++) {
    line = biography(n % people + 1)
    print line > corpus
    if (n < 4000) print line > vocabulary
  }

  train = out "/train.jsonl"
  for (p = 1; p <= known; p++)
    for (a = 1; a <= attributes; a++)
      for (f = 1; f <= askings[a]; f++) {
        q = question(p, a, f)
        printf "{\"prompt\": \"%s\", \"completion\": \" %s\"}\n", q, fact(p, a) > train
        print q " " fact(p, a) > vocabulary
      }

  shots = ""
  for (a = 1; a <= attributes; a++) {
    p = draw(known) + 1
    shots = shots question(p, a, 1) " " fact(p, a) "\\n"
  }
  for (p = known + 1; p <= people; p++)
    for (a = 1; a <= attributes; a++) {
      q = question(p, a, draw(askings[a]) + 1)
      printf "{\"prompt\": \"%s\"}\n", q > (out "/questions.jsonl")
      printf "{\"prompt\": \"%s%s\"}\n", shots, q > (out "/few-shot.jsonl")
      print fact(p, a) > (out "/answers.txt")
    }
}
